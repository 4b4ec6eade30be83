<?php

declare(strict_types=1);

namespace Demo\Command;

use Demo\Company\CompanyDraft;
use Demo\Contact\ContactDraft;
use Demo\Deal\DealDraft;
use Demo\Entity\Company;
use Demo\Entity\Contact;
use Demo\Entity\Deal;
use Demo\Entity\Record;
use Demo\Entity\Role;
use Demo\Entity\Stage;
use Demo\Entity\User;
use Demo\Record\Draft;
use Doctrine\ORM\EntityManagerInterface;
use Doctrine\ORM\Tools\SchemaTool;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;
use Symfony\Component\PasswordHasher\Hasher\UserPasswordHasherInterface;

/** Creates the database with sample data. Keeps one with the same schema, and recreates one with another. */
#[AsCommand(name: 'demo:prepare', description: 'Create the database with sample data')]
final class PrepareCommand extends Command
{
    public const PASSWORD = 'demo';

    /** In this order, so that Anna is user 1. */
    public const USERS = [
        ['username' => 'anna', 'name' => 'Anna', 'role' => Role::Admin, 'company' => null],
        ['username' => 'ben', 'name' => 'Ben', 'role' => Role::Sales, 'company' => null],
        ['username' => 'carla', 'name' => 'Carla', 'role' => Role::Sales, 'company' => null],
        ['username' => 'dora', 'name' => 'Dora', 'role' => Role::Customer, 'company' => 'Loom & Card'],
        ['username' => 'emil', 'name' => 'Emil', 'role' => Role::Customer, 'company' => 'Relay & Switch'],
    ];

    public function __construct(
        private readonly EntityManagerInterface $entityManager,
        private readonly UserPasswordHasherInterface $hasher,
        private readonly string $samples,
    ) {
        parent::__construct();
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        $metadata = $this->entityManager->getMetadataFactory()->getAllMetadata();
        $schemaTool = new SchemaTool($this->entityManager);
        $schema = $schemaTool->getCreateSchemaSql($metadata);
        $connection = $this->entityManager->getConnection();
        // Stored in the database file; 0 in a new one.
        $version = crc32(implode($schema)) & 0x7fff_ffff;
        $found = (int) $connection->fetchOne('PRAGMA user_version');
        if ($found === $version) {
            return self::SUCCESS;
        }
        $isNew = !$connection->createSchemaManager()->tablesExist(['contact']);
        $schemaTool->dropDatabase();
        // Readers and a writer do not wait for each other. Stored in the database file.
        $connection->executeStatement('PRAGMA journal_mode = WAL');
        $this->entityManager->wrapInTransaction(function () use ($schemaTool, $metadata): void {
            $schemaTool->createSchema($metadata);
            $this->addSamples();
        });
        $connection->executeStatement("PRAGMA user_version = $version");
        $output->writeln($isNew
            ? 'The database was created with sample data.'
            : 'The database was from another version of the demo: it was recreated with sample data.');

        return self::SUCCESS;
    }

    private function addSamples(): void
    {
        $companies = [];
        foreach ($this->rows('companies') as $row) {
            $companies[$row['name']] = $this->add(Company::class, self::fill(new CompanyDraft(), $row));
        }
        $contacts = [];
        foreach ($this->rows('contacts') as $row) {
            $row['company'] = $companies[$row['company']];
            $contacts[$row['name']] = $this->add(Contact::class, self::fill(new ContactDraft(), $row));
        }
        foreach ($this->rows('deals') as $row) {
            $draft = new DealDraft($companies[$row['company']]);
            $this->add(Deal::class, self::fill($draft, [
                'name' => $row['name'],
                'contact' => $contacts[$row['contact']],
                'value' => (int) $row['value'],
                'stage' => Stage::from($row['stage']),
            ]));
        }
        foreach (self::USERS as ['username' => $username, 'name' => $name, 'role' => $role, 'company' => $company]) {
            $user = new User($username, $name, $role, $company === null ? null : $companies[$company]);
            $user->setPasswordHash($this->hasher->hashPassword($user, self::PASSWORD));
            $this->entityManager->persist($user);
            // Flushed one by one, so that the ids are in this order.
            $this->entityManager->flush();
        }
    }

    /**
     * @template R of Record
     *
     * @param class-string<R> $class
     *
     * @return R
     */
    private function add(string $class, Draft $draft): Record
    {
        $record = new $class($draft, 'Anna', new \DateTimeImmutable());
        $this->entityManager->persist($record);
        $this->entityManager->flush();

        return $record;
    }

    /** @param array<string, mixed> $fields */
    private static function fill(Draft $draft, array $fields): Draft
    {
        foreach ($fields as $field => $value) {
            $draft->$field = $value;
        }

        return $draft;
    }

    /**
     * @return iterable<array<string, string>> rows by column: people from the history of computing, with addresses that cannot
     *   exist
     */
    private function rows(string $file): iterable
    {
        $rows = new \SplFileObject("$this->samples/$file.csv");
        $rows->setFlags(\SplFileObject::READ_CSV | \SplFileObject::READ_AHEAD | \SplFileObject::SKIP_EMPTY);
        $columns = null;
        foreach ($rows as $row) {
            if ($columns === null) {
                $columns = $row;
            } else {
                yield array_combine($columns, $row);
            }
        }
    }
}
