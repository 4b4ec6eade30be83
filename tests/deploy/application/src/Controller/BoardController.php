<?php

declare(strict_types=1);

namespace App\Controller;

use Orosync\Publishing\PublisherInterface;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Twig\Environment;

/** A page, and a request that publishes. */
final class BoardController
{
    public function page(Environment $twig): Response
    {
        return new Response($twig->render('base.html.twig'));
    }

    /** Answers with the name of the user that PHP-FPM runs as. */
    public function publish(Request $request, PublisherInterface $publisher): Response
    {
        $accepted = $publisher->publish($request->query->get('topic'), ['number' => $request->query->getInt('number')]);

        return new JsonResponse(['accepted' => $accepted, 'user' => posix_getpwuid(posix_geteuid())['name']]);
    }
}
