<?php

declare(strict_types=1);

namespace Orosync\Publishing;

/**
 * The secret shared by publishers, tickets and the server.
 *
 * By default it is derived from `kernel.secret`, so that the application and a server started by its command agree without
 * configuration. A server started in another way needs `orosync.secret` or `orosync.secret_file`.
 */
final class SharedSecret
{
    public function __construct(
        private readonly ?string $secret,
        private readonly ?string $secretFile,
        private readonly ?string $kernelSecret,
    ) {
    }

    /**
     * @return array{secret: string}|array{secret_file: string} options of the extension
     *
     * @throws MissingSecretException
     */
    public function forPublisher(): array
    {
        return null !== $this->secretFile ? ['secret_file' => $this->secretFile] : ['secret' => $this->value()];
    }

    /**
     * Environment variables for the server; a command line is readable by every user of the machine. The unused key is empty,
     * because the server rejects two values.
     *
     * @return array{OROSYNC_AUTH__SECRET: string, OROSYNC_AUTH__SECRET_FILE: string}
     *
     * @throws MissingSecretException
     */
    public function forServer(): array
    {
        return [
            'OROSYNC_AUTH__SECRET' => null === $this->secretFile ? $this->value() : '',
            'OROSYNC_AUTH__SECRET_FILE' => $this->secretFile ?? '',
        ];
    }

    /** The source of the secret, as text. */
    public function source(): string
    {
        return match (true) {
            null !== $this->secretFile => sprintf('in %s (orosync.secret_file)', $this->secretFile),
            null !== $this->secret => 'set by orosync.secret',
            default => 'derived from kernel.secret',
        };
    }

    private function value(): string
    {
        if (null !== $this->secret) {
            return '' !== $this->secret ? $this->secret : throw new MissingSecretException(
                'orosync.secret is empty. '
                . 'Give it a value (openssl rand -hex 32), or remove the key to derive it from kernel.secret.',
            );
        }
        // Derived from an empty value it would be the same in every application.
        if (null === $this->kernelSecret || '' === $this->kernelSecret) {
            throw new MissingSecretException(
                'There is no secret: kernel.secret, from which it would be derived, is empty. '
                . 'Set orosync.secret, orosync.secret_file or framework.secret (openssl rand -hex 32).',
            );
        }

        return hash('sha256', 'orosync:' . $this->kernelSecret);
    }
}
