<?php

declare(strict_types=1);

namespace Demo\Maintenance;

use Orosync\Maintenance\MaintenanceMode;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;

/** Switches maintenance for an administrator. The message contains the user's id, so the user's own pages ignore it. */
final class MaintenanceController extends AbstractController
{
    public function __invoke(Request $request, MaintenanceMode $mode): Response
    {
        if (!$this->isCsrfTokenValid('maintenance', $request->request->get('token'))) {
            $this->addFlash('error', 'This page was open for too long. Nothing was changed: please try again.');
        } elseif ($request->request->get('mode') === 'on') {
            $mode->on();
            $this->addFlash('success', 'Maintenance is on: everybody else is notified.');
        } else {
            $mode->off();
            $this->addFlash('success', 'Maintenance is off: everybody is notified.');
        }

        return $this->redirectToRoute('status');
    }
}
