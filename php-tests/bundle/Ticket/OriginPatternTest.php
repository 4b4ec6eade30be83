<?php

declare(strict_types=1);

namespace Orosync\Tests\Ticket;

use Orosync\Tests\ApplicationTestCase;
use Orosync\Ticket\OriginPattern;
use Orosync\Ticket\TicketIssuerInterface;
use Orosync\Ticket\TicketUnavailableException;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\Attributes\Group;
use PHPUnit\Framework\Attributes\RequiresPhpExtension;

final class OriginPatternTest extends ApplicationTestCase
{
    /** @dataProvider hosts */
    #[DataProvider('hosts')]
    public function testAHostIsAccepted(string $text, bool $isAccepted): void
    {
        self::assertSame($isAccepted, OriginPattern::accepts($text));
    }

    /**
     * @group extension
     *
     * @requires extension orosync
     */
    #[Group('extension')]
    #[RequiresPhpExtension('orosync')]
    public function testTheExtensionAcceptsTheSame(): void
    {
        $tickets = $this->boot([], [], ['publisher', 'tickets'])->get(TicketIssuerInterface::class);
        foreach (self::hosts() as [$text, $isAccepted]) {
            self::assertSame($isAccepted, self::isTaken($tickets, [$text]), $text);
        }
        self::assertTrue(self::isTaken($tickets, array_fill(0, OriginPattern::MAX_IN_TICKET, 'a')));
        self::assertFalse(self::isTaken($tickets, array_fill(0, OriginPattern::MAX_IN_TICKET + 1, 'a')));
    }

    public static function hosts(): iterable
    {
        foreach (
            [
                'crm.example.com', 'CRM.example.com', '*.example.com', 'localhost', '127.0.0.1', '[::1]', '[2001:db8::ffff:1.2.3.4]',
                'xn--bcher-kva.example', 'a_b.local', '*', 'same host', 'null', str_repeat('a', 253), '*.' . str_repeat('a', 253),
            ] as $host
        ) {
            yield $host => [$host, true];
        }
        foreach (
            [
                '', '.', '*.', '*.*', 'crm.*.com', 'a..b', 'crm.example.com.', 'https://crm.example.com', 'crm.example.com:8080',
                'crm.example.com/', 'a b', "crm.example.com\n", "[::1]\n", '::1', '[::1', '[nonsense]', '*.[::1]', 'Same host', 'bücher.example',
                "caf\xe9.example", str_repeat('a', 254),
            ] as $text
        ) {
            yield json_encode($text, \JSON_INVALID_UTF8_SUBSTITUTE) => [$text, false];
        }
    }

    /** @param list<string> $origins */
    private static function isTaken(TicketIssuerInterface $tickets, array $origins): bool
    {
        try {
            return '' !== $tickets->issue(['origins' => $origins], 60);
        } catch (TicketUnavailableException) {
            return false;
        }
    }
}
