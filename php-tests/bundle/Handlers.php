<?php

declare(strict_types=1);

namespace Orosync\Tests;

/** Saves and restores the error and exception handlers: a booted kernel sets its own, and PHPUnit reports the change. */
final class Handlers
{
    private function __construct(
        private readonly mixed $error,
        private readonly mixed $exception,
    ) {
    }

    public static function now(): self
    {
        return new self(self::errorHandler(), self::exceptionHandler());
    }

    public function restore(): void
    {
        while (self::errorHandler() !== $this->error && null !== self::errorHandler()) {
            restore_error_handler();
        }
        while (self::exceptionHandler() !== $this->exception && null !== self::exceptionHandler()) {
            restore_exception_handler();
        }
    }

    private static function errorHandler(): ?callable
    {
        $handler = set_error_handler(null);
        restore_error_handler();

        return $handler;
    }

    private static function exceptionHandler(): ?callable
    {
        $handler = set_exception_handler(null);
        restore_exception_handler();

        return $handler;
    }
}
