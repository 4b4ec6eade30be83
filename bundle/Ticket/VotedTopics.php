<?php

declare(strict_types=1);

namespace Orosync\Ticket;

use Doctrine\DBAL\Exception\DriverException;
use Doctrine\DBAL\Types\ConversionException;
use Doctrine\Persistence\ManagerRegistry;
use Doctrine\Persistence\Mapping\ClassMetadata;
use Orosync\Entry\Guard;
use Orosync\Topic\TopicPattern;

/**
 * Grants topics of one object each, such as `acme/order/7`, as the application's voters decide about the object.
 *
 * A page names the topics that it wants when it asks for its ticket. Voters decide about those whose rule, the first one that
 * matches as at the server, names a voter. Bound: MAX_DECIDED objects are loaded for one ticket.
 */
final class VotedTopics
{
    /** As many as a ticket can grant. */
    private const MAX_DECIDED = 50;

    /** What an id of each of these types looks like; a database may refuse to compare it with any other text. */
    private const FORMS = [
        'integer' => '~^(0|[1-9][0-9]{0,9})$~D',
        'smallint' => '~^(0|[1-9][0-9]{0,4})$~D',
        'bigint' => '~^(0|[1-9][0-9]{0,18})$~D',
        'guid' => '~^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$~iD',
    ];

    /** And of any other: PostgreSQL refuses a text with a zero byte. */
    private const TEXT = '~^[^\x00-\x1F\x7F]+$~D';

    /** A value that the column cannot hold or the database cannot read, such as a number out of its range. */
    private const SQLSTATE_DATA = '22';

    /**
     * @param list<array{pattern: string, voter: string|null, class: class-string|null}> $topics all that are declared, in their
     *                                                                                           order; most without a voter
     */
    public function __construct(
        private readonly array $topics,
        private readonly Decisions $decisions,
        private readonly ?ManagerRegistry $doctrine,
        private readonly AskedTopics $outcomes,
        private readonly Guard $guard,
    ) {
    }

    /** Whether voters decide about any topic, so that it matters which ones a page names. */
    public function areDeclared(): bool
    {
        return [] !== array_filter(array_column($this->topics, 'voter'));
    }

    /**
     * @param list<string> $asked topics that the current user's page wants
     *
     * @return list<Grant>
     */
    public function of(array $asked): array
    {
        $decided = 0;
        $granted = [];
        foreach (array_unique($asked) as $name) {
            [$topic, $id] = $this->declared($name);
            if (null === $topic) {
                $this->outcomes->add($name, AskedTopics::NOT_VOTED);
                continue;
            }
            $by = sprintf('%s on %s', $topic['voter'], $topic['class']);
            $grant = new Grant($name, "a voter ($by)");
            if (++$decided > self::MAX_DECIDED) {
                if (self::MAX_DECIDED + 1 === $decided) {
                    $this->guard->note(
                        'A ticket goes without topics that a page asks for',
                        new TicketUnavailableException(sprintf('voters decide about at most %d at once, %s is one more', self::MAX_DECIDED, $grant->shown())),
                    );
                }
                $this->outcomes->add($name, AskedTopics::UNDECIDED, $by);
                continue;
            }
            $lost = sprintf('The voters are not asked for %s on the topic %s', $topic['voter'], $grant->shown());
            $isGranted = $this->guard->run($lost, fn (): bool => $this->isGranted($topic, $id));
            $this->outcomes->add($name, match ($isGranted) {
                true => AskedTopics::GRANTED,
                false => AskedTopics::DENIED,
                null => AskedTopics::UNDECIDED,
            }, $by);
            if (true === $isGranted) {
                $granted[] = $grant;
            }
        }

        return $granted;
    }

    /** @return array{array{voter: string, class: class-string}, string}|array{null, ''} with the object's id; null: no voter decides */
    private function declared(string $name): array
    {
        foreach ($this->topics as $topic) {
            $captured = (new TopicPattern($topic['pattern']))->captured($name);
            if (null !== $captured) {
                return null === $topic['voter'] ? [null, ''] : [$topic, $captured[0]];
            }
        }

        return [null, ''];
    }

    /** @param array{voter: string, class: class-string} $topic */
    private function isGranted(array $topic, string $id): bool
    {
        $manager = $this->doctrine?->getManagerForClass($topic['class'])
            ?? throw new \LogicException(sprintf('"%s" is no entity of Doctrine\'s, so that no object can be found by its id.', $topic['class']));
        if (!self::mayBeId($id, $manager->getClassMetadata($topic['class']))) {
            return false;
        }
        try {
            $object = $manager->find($topic['class'], $id);
        } catch (ConversionException) {
            // A type of its own, such as those of Symfony's Uid component: that text is no id.
            return false;
        } catch (DriverException $e) {
            if (!str_starts_with((string) $e->getSQLState(), self::SQLSTATE_DATA)) {
                throw $e;
            }

            return false;
        }

        return null !== $object && $this->decisions->isGranted(null, $topic['voter'], $object);
    }

    private static function mayBeId(string $id, ClassMetadata $class): bool
    {
        $identifier = $class->getIdentifierFieldNames();
        if (1 !== \count($identifier)) {
            throw new \LogicException(sprintf('"%s" has an id of %d fields, a topic names one.', $class->getName(), \count($identifier)));
        }

        return 1 === preg_match(self::FORMS[$class->getTypeOfField($identifier[0])] ?? self::TEXT, $id);
    }
}
