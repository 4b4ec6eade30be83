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
 * Grants topics for single objects, such as `acme/order/7`, if the application's voters allow it.
 *
 * The page names its topics in the ticket request. Voters decide about those whose rule names a voter; as on the server, the
 * first matching rule applies. Bound: MAX_DECIDED objects are loaded per ticket.
 */
final class VotedTopics
{
    /** The limit of grants in a ticket. */
    private const MAX_DECIDED = 50;

    /** Formats of ids by column type; some databases refuse to compare a column with any other text. */
    private const FORMS = [
        'integer' => '~^(0|[1-9][0-9]{0,9})$~D',
        'smallint' => '~^(0|[1-9][0-9]{0,4})$~D',
        'bigint' => '~^(0|[1-9][0-9]{0,18})$~D',
        'guid' => '~^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$~iD',
    ];

    /** Format of ids of other types: PostgreSQL refuses text with a zero byte. */
    private const TEXT = '~^[^\x00-\x1F\x7F]+$~D';

    /** SQLSTATE class of values that the column cannot hold, such as a number out of range. */
    private const SQLSTATE_DATA = '22';

    /**
     * @param list<array{pattern: string, voter: string|null, class: class-string|null}> $topics all declared topics in order,
     *   most of them without a voter
     */
    public function __construct(
        private readonly array $topics,
        private readonly Authorization $authorization,
        private readonly ?ManagerRegistry $doctrine,
        private readonly RequestedTopics $outcomes,
        private readonly Guard $guard,
    ) {
    }

    /** Whether voters decide about any topic, so that tickets depend on the topics in the request. */
    public function areDeclared(): bool
    {
        return [] !== array_filter(array_column($this->topics, 'voter'));
    }

    /**
     * @param list<string> $requested topics of the current user's page
     *
     * @return list<Grant>
     */
    public function of(array $requested): array
    {
        $decided = 0;
        $granted = [];
        foreach (array_unique($requested) as $name) {
            [$topic, $id] = $this->declared($name);
            if (null === $topic) {
                $this->outcomes->add($name, RequestedTopics::NOT_VOTED);
                continue;
            }
            $by = sprintf('%s on %s', $topic['voter'], $topic['class']);
            $grant = new Grant($name, "a voter ($by)");
            if (++$decided > self::MAX_DECIDED) {
                if (self::MAX_DECIDED + 1 === $decided) {
                    $this->guard->note(
                        'A ticket was issued without some topics of the page',
                        new TicketUnavailableException(sprintf('voters decide about at most %d topics per ticket; %s exceeds the limit', self::MAX_DECIDED, $grant->display())),
                    );
                }
                $this->outcomes->add($name, RequestedTopics::UNDECIDED, $by);
                continue;
            }
            $lost = sprintf('The voters could not decide about %s on the topic %s', $topic['voter'], $grant->display());
            $isGranted = $this->guard->run($lost, fn (): bool => $this->isGranted($topic, $id));
            $this->outcomes->add($name, match ($isGranted) {
                true => RequestedTopics::GRANTED,
                false => RequestedTopics::DENIED,
                null => RequestedTopics::UNDECIDED,
            }, $by);
            if (true === $isGranted) {
                $granted[] = $grant;
            }
        }

        return $granted;
    }

    /**
     * @return array{array{voter: string, class: class-string}, string}|array{null, ''} with the id of the object; null: no
     *   voter decides
     */
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
            ?? throw new \LogicException(sprintf('"%s" is not a Doctrine entity, so no object can be loaded by its id.', $topic['class']));
        if (!self::mayBeId($id, $manager->getClassMetadata($topic['class']))) {
            return false;
        }
        try {
            $object = $manager->find($topic['class'], $id);
        } catch (ConversionException) {
            // The column type, such as one of Symfony's Uid component, rejects the text: not an id.
            return false;
        } catch (DriverException $e) {
            if (!str_starts_with((string) $e->getSQLState(), self::SQLSTATE_DATA)) {
                throw $e;
            }

            return false;
        }

        return null !== $object && $this->authorization->isGranted(null, $topic['voter'], $object);
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
