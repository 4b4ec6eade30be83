<?php

declare(strict_types=1);

namespace Orosync\Tests\Publishing;

use Orosync\Publishing\MissingSecretException;
use Orosync\Publishing\SharedSecret;
use PHPUnit\Framework\TestCase;

final class SharedSecretTest extends TestCase
{
    public function testPublisherAndServerGetTheSameSecret(): void
    {
        $told = new SharedSecret('told', null, 'kernel');
        self::assertSame(['secret' => 'told'], $told->forPublisher());
        self::assertSame(['OROSYNC_AUTH__SECRET' => 'told', 'OROSYNC_AUTH__SECRET_FILE' => ''], $told->forServer());

        $file = new SharedSecret(null, '/etc/orosync/secret', 'kernel');
        self::assertSame(['secret_file' => '/etc/orosync/secret'], $file->forPublisher());
        self::assertSame(['OROSYNC_AUTH__SECRET' => '', 'OROSYNC_AUTH__SECRET_FILE' => '/etc/orosync/secret'], $file->forServer());

        $derived = new SharedSecret(null, null, 'kernel');
        self::assertSame(['secret' => '220ca4086889279a'], array_map(static fn (string $secret): string => substr($secret, 0, 16), $derived->forPublisher()));
        self::assertSame($derived->forPublisher()['secret'], $derived->forServer()['OROSYNC_AUTH__SECRET']);
    }

    public function testAnEmptySecretIsNotReplacedByTheDerivedOne(): void
    {
        $this->expectException(MissingSecretException::class);
        $this->expectExceptionMessage('orosync.secret is empty.');

        (new SharedSecret('', null, 'kernel'))->forPublisher();
    }

    public function testNoSecretIsDerivedFromAnEmptyKernelSecret(): void
    {
        foreach ([null, ''] as $kernelSecret) {
            try {
                (new SharedSecret(null, null, $kernelSecret))->forServer();
                self::fail('A secret was derived from an empty one.');
            } catch (MissingSecretException $e) {
                self::assertStringContainsString('Set orosync.secret, orosync.secret_file or framework.secret', $e->getMessage());
            }
        }
    }
}
