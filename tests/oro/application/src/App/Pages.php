<?php

declare(strict_types=1);

namespace App;

use Symfony\Component\HttpFoundation\Cookie;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Twig\Environment;

/** The pages of the application. */
final class Pages
{
    public function __construct(private readonly Environment $twig)
    {
    }

    /** A page with Oro's own snippets, for the user in the query. It retries after two seconds instead of Oro's minute. */
    public function page(Request $request): Response
    {
        $html = $this->twig->render('page.html.twig');
        $response = new Response((string) preg_replace('/retryDelay: \d+/', 'retryDelay: 2000', $html));
        $response->headers->setCookie(Cookie::create('user', $request->query->get('user'), 0, '/', null, false, false));

        return $response;
    }

    public function gone(): Response
    {
        return new Response('logged out');
    }
}
