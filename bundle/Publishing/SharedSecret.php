<?php

declare(strict_types=1);

namespace Orosync\Publishing;

/**
 * The secret that publishers, tickets and the server share.
 *
 * Without a setting it is derived from `kernel.secret`, so that an application and the server that its own command
 * starts agree without configuration. A server that is started otherwise needs `orosync.secret` or `secret_file`.
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
     * @return array{secret: string}|array{secret_file: string} as the extension takes it
     *
     * @throws MissingSecretException
     */
    public function forPublisher(): array
    {
        return null !== $this->secretFile ? ['secret_file' => $this->secretFile] : ['secret' => $this->value()];
    }

    /**
     * For the environment of the server, for a command line is readable by every user of the machine. The key that is
     * not used is emptied: the server refuses to choose between two.
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

    /** Where it comes from, in words. */
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
        // Derived from nothing it would be the same in every application of the world.
        if (null === $this->kernelSecret || '' === $this->kernelSecret) {
            throw new MissingSecretException(
                'There is no secret: kernel.secret, from which it would be derived, is empty. '
                . 'Set orosync.secret, orosync.secret_file or framework.secret (openssl rand -hex 32).',
            );
        }

        return hash('sha256', 'orosync:' . $this->kernelSecret);
    }
}
