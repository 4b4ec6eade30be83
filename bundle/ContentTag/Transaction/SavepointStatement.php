<?php

declare(strict_types=1);

namespace Orosync\ContentTag\Transaction;

/**
 * A statement that sets, releases or rolls back to a savepoint, in the dialects of Doctrine's databases.
 *
 * No version of DBAL has a hook for savepoints, so they are recognized in the SQL that it executes.
 */
final class SavepointStatement
{
    public const SET = 'set';
    public const RELEASE = 'release';
    public const ROLL_BACK_TO = 'roll back to';

    private const SQL = '~^\s*(?:
        (?<set>      SAVEPOINT | SAVE\s+TRAN(?:SACTION)?)
      | (?<release>  RELEASE(?:\s+SAVEPOINT)?)
      | (?<rollback> ROLLBACK(?:\s+(?:WORK|TRAN(?:SACTION)?))?(?:\s+TO)?(?:\s+SAVEPOINT)?)
    )\s+(?<name>[^\s;]+)\s*;?\s*$~xi';

    private function __construct(
        public readonly string $action,
        public readonly string $name,
    ) {
    }

    /** @return self|null null: any other statement */
    public static function of(string $sql): ?self
    {
        if (1 !== preg_match(self::SQL, $sql, $found)) {
            return null;
        }
        $action = match (true) {
            '' !== $found['set'] => self::SET,
            '' !== $found['release'] => self::RELEASE,
            default => self::ROLL_BACK_TO,
        };

        return new self($action, strtolower(trim($found['name'], '"`[]')));
    }
}
