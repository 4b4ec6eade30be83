<?php

declare(strict_types=1);

namespace Demo\Maintenance;

use Orosync\Maintenance\MaintenanceMode;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;

/** An administrator's switch. The message carries who it was, so the own pages are not told to stop working. */
final class MaintenanceController extends AbstractController
{
    public function __invoke(Request $request, MaintenanceMode $mode): Response
    {
        if (!$this->isCsrfTokenValid('maintenance', $request->request->get('token'))) {
            $this->addFlash('error', 'This page was open for too long. Nothing was switched: please try again.');
        } elseif ($request->request->get('mode') === 'on') {
            $mode->on();
            $this->addFlash('success', 'Maintenance is on: everybody else is told so now.');
        } else {
            $mode->off();
            $this->addFlash('success', 'Maintenance is off: everybody is told so now.');
        }

        return $this->redirectToRoute('status');
    }
}
