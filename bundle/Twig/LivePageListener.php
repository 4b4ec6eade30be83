<?php

declare(strict_types=1);

namespace Orosync\Twig;

use Orosync\Entry\Guard;
use Symfony\Component\HttpKernel\Event\ExceptionEvent;
use Symfony\Component\HttpKernel\Event\ResponseEvent;

/** Completes a page that names tags after its element, and discards those of a page that failed. */
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
        $this->guard->run('A page does not receive changes of content that was named after its element', function () use ($event): void {
            $response = $event->getResponse();
            $html = $response->getContent();
            // A streamed response has no content yet.
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

    /** The error page must not have the tags of the failed page. */
    public function onException(ExceptionEvent $event): void
    {
        if ($event->isMainRequest()) {
            $this->page->reset();
        }
    }
}
