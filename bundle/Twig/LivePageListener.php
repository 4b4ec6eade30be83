<?php

declare(strict_types=1);

namespace Orosync\Twig;

use Orosync\Entry\Guard;
use Symfony\Component\HttpKernel\Event\ExceptionEvent;
use Symfony\Component\HttpKernel\Event\ResponseEvent;

/** Completes a page that has named tags after its element; forgets those of a page that is never shown. */
final class LivePageListener
{
    public function __construct(
        private readonly LivePage $page,
        private readonly Guard $guard,
    ) {
    }

    public function onResponse(ResponseEvent $event): void
    {
        if (!$event->isMainRequest() || null === $this->page->element()) {
            return;
        }
        $this->guard->run('A page is not told of changes to what it has named after its element', function () use ($event): void {
            $response = $event->getResponse();
            $html = $response->getContent();
            // A streamed one has none yet.
            $complete = false === $html ? false : $this->page->complete($html);
            if ($complete === $html) {
                return;
            }
            $response->setContent($complete);
            if ($response->headers->has('Content-Length')) {
                $response->headers->set('Content-Length', (string) \strlen($complete));
            }
        });
    }

    /** The page of the error shows nothing of the one that has failed. */
    public function onException(ExceptionEvent $event): void
    {
        if ($event->isMainRequest()) {
            $this->page->reset();
        }
    }
}
