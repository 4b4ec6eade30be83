<?php

declare(strict_types=1);

namespace Orosync\Tests;

use PHPUnit\Framework\Assert;

/** Verifies tickets of the extension by RFC 7519, without the extension. */
final class Jwt
{
    /** @return array<string, mixed> the claims, after the signature was checked */
    public static function verified(string $jwt, string $secret): array
    {
        $parts = explode('.', $jwt);
        Assert::assertCount(3, $parts);
        [$header, $claims, $signature] = $parts;
        Assert::assertSame('HS256', json_decode(self::bytes($header), true, 512, \JSON_THROW_ON_ERROR)['alg']);
        Assert::assertSame(hash_hmac('sha256', $header . '.' . $claims, $secret), bin2hex(self::bytes($signature)));

        return json_decode(self::bytes($claims), true, 512, \JSON_THROW_ON_ERROR);
    }

    private static function bytes(string $text): string
    {
        return base64_decode(strtr($text, '-_', '+/'), true);
    }
}
