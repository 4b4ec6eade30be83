<?php

declare(strict_types=1);

namespace Demo\Status;

use Orosync\Publishing\PublisherInterface;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\Response;

/** The way of a message: of this page by js/status.js, of PHP and the server by this class. */
final class StatusController extends AbstractController
{
    public function page(): Response
    {
        return $this->render('status.html.twig');
    }

    /** Of the one process that answers; PHP-FPM has several, each with a connection of its own. */
    public function php(PublisherInterface $publisher): Response
    {
        return $this->json([
            'process' => getmypid(),
            'extension' => phpversion('orosync') ?: 'not loaded',
            ...get_object_vars($publisher->status()),
        ]);
    }

    public function server(ServerFacts $server): Response
    {
        try {
            return $this->json(['counters' => $server->counters(), 'topics' => $server->topics()]);
        } catch (\RuntimeException $e) {
            return $this->json(['counters' => ['Answer' => $e->getMessage()], 'topics' => []]);
        }
    }

    public function nodes(ServerFacts $server): Response
    {
        // An object also where there is none.
        return $this->json((object) $server->nodes());
    }
}
