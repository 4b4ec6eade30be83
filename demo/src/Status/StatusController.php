<?php

declare(strict_types=1);

namespace Demo\Status;

use Orosync\Publishing\PublisherInterface;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Response;

/** What there is to know about this connection: of the page and the server by js/status.js, of PHP by this class. */
final class StatusController extends AbstractController
{
    public function page(): Response
    {
        return $this->render('status.html.twig');
    }

    /** Of the one process that answers; PHP-FPM has several, each with a connection of its own. */
    public function php(PublisherInterface $publisher): Response
    {
        return new JsonResponse([
            'process' => getmypid(),
            'extension' => phpversion('orosync') ?: 'not loaded',
            ...get_object_vars($publisher->status()),
        ]);
    }
}
