<?php

declare(strict_types=1);

namespace Demo\Command;

use Demo\Contact\ContactDraft;
use Demo\Entity\Contact;
use Demo\Entity\User;
use Doctrine\ORM\EntityManagerInterface;
use Doctrine\ORM\Tools\SchemaTool;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;
use Symfony\Component\PasswordHasher\Hasher\UserPasswordHasherInterface;

/** Makes the database with its sample data; leaves one that is there alone. */
final class PrepareCommand extends Command
{
    public const PASSWORD = 'demo';

    /** In this order, so that Anna is user 1. */
    public const USERS = [
        ['username' => 'anna', 'name' => 'Anna', 'admin' => true],
        ['username' => 'ben', 'name' => 'Ben', 'admin' => false],
        ['username' => 'carla', 'name' => 'Carla', 'admin' => false],
    ];

    protected static $defaultName = 'demo:prepare';
    protected static $defaultDescription = 'Make the database with its sample data';

    public function __construct(
        private readonly EntityManagerInterface $entityManager,
        private readonly UserPasswordHasherInterface $hasher,
        private readonly string $samples,
    ) {
        parent::__construct();
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        $connection = $this->entityManager->getConnection();
        if ($connection->createSchemaManager()->tablesExist(['contact'])) {
            return self::SUCCESS;
        }
        // Readers do not wait for a writer, nor a writer for readers. The file remembers it.
        $connection->executeStatement('PRAGMA journal_mode = WAL');
        $this->entityManager->wrapInTransaction(function (EntityManagerInterface $entityManager): void {
            $metadata = $entityManager->getMetadataFactory()->getAllMetadata();
            (new SchemaTool($entityManager))->createSchema($metadata);
            foreach (self::USERS as ['username' => $username, 'name' => $name, 'admin' => $admin]) {
                $user = new User($username, $name, $admin);
                $user->setPasswordHash($this->hasher->hashPassword($user, self::PASSWORD));
                $entityManager->persist($user);
            }
            foreach ($this->contacts() as $draft) {
                $entityManager->persist(new Contact($draft, 'Anna', new \DateTimeImmutable()));
            }
        });
        $output->writeln('The database is made, with its sample data.');

        return self::SUCCESS;
    }

    /** @return iterable<ContactDraft> people of the history of computing, at addresses that cannot exist */
    private function contacts(): iterable
    {
        $file = new \SplFileObject($this->samples);
        $file->setFlags(\SplFileObject::READ_CSV | \SplFileObject::READ_AHEAD | \SplFileObject::SKIP_EMPTY);
        $columns = null;
        foreach ($file as $row) {
            if ($columns === null) {
                $columns = $row;
                continue;
            }
            $draft = new ContactDraft();
            foreach (array_combine($columns, $row) as $field => $value) {
                $draft->$field = $value;
            }
            yield $draft;
        }
    }
}
