<?php

declare(strict_types=1);

namespace Orosync\Tests\Oro;

use PHPUnit\Framework\TestCase;

final class ExpectationsTest extends TestCase
{
    public function testEveryTestNamedInOrosContractExists(): void
    {
        $root = \dirname(__DIR__, 3);
        $table = strstr(file_get_contents($root . '/docs/oro.md'), '## What Oro expects');
        $class = '';
        $found = 0;
        preg_match_all('~`(?:(?<path>php-tests/\S+\.php)|(?:(?<class>\w+Test)(?:::)?)?(?<method>test\w+)?)`~', $table, $names, \PREG_SET_ORDER);
        foreach ($names as $name) {
            if ('' !== $name['path']) {
                self::assertFileExists($root . '/' . $name['path']);
                ++$found;
            }
            $class = ($name['class'] ?? '') ?: $class;
            if ('' !== ($name['class'] ?? '') . ($name['method'] ?? '')) {
                $file = __DIR__ . '/' . $class . '.php';
                self::assertFileExists($file);
                self::assertStringContainsString('function ' . ($name['method'] ?? 'test'), file_get_contents($file));
                ++$found;
            }
        }

        self::assertGreaterThan(40, $found);
    }
}
