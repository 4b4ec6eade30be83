<?php

declare(strict_types=1);

namespace Demo\Import;

use Demo\Company\CompanyDraft;
use Demo\Entity\Company;
use Demo\Entity\Contact;
use Demo\Entity\Import;
use Demo\Entity\ImportState;
use Doctrine\ORM\EntityManagerInterface;
use Doctrine\Persistence\ManagerRegistry;
use Symfony\Component\Messenger\Attribute\AsMessageHandler;
use Symfony\Component\Messenger\Exception\UnrecoverableMessageHandlingException;

/**
 * Runs an import in the worker.
 *
 * All rows are one flush, one transaction and one announcement: all rows are saved or none, and an open list is notified once
 * instead of a thousand times.
 */
#[AsMessageHandler]
final class RunImportHandler
{
    private const BATCH = 25;

    /** @param int $pauseMicroseconds pause after each batch, to simulate the lookups of a real import */
    public function __construct(
        private readonly EntityManagerInterface $entityManager,
        private readonly ManagerRegistry $registry,
        private readonly SampleRows $rows,
        private readonly ImportProgress $progress,
        private readonly int $pauseMicroseconds,
    ) {
    }

    public function __invoke(RunImport $message): void
    {
        $import = $this->entityManager->find(Import::class, $message->import);
        // A killed worker has not acknowledged the message, which is delivered again.
        if ($import === null || $import->getState()->isOver()) {
            return;
        }
        try {
            $this->run($import);
        } catch (\Throwable $e) {
            $this->fail($message->import);

            throw new UnrecoverableMessageHandlingException("Import $message->import has failed.", 0, $e);
        }
    }

    private function run(Import $import): void
    {
        $import->become(ImportState::Running, new \DateTimeImmutable());
        $this->entityManager->flush();
        $companies = [];
        foreach ($this->rows->read() as $number => [$companyDraft, $draft]) {
            $draft->company = $companies[$companyDraft->name] ??= $this->company($companyDraft, $import);
            $this->entityManager->persist(new Contact($draft, $import->getStartedBy(), new \DateTimeImmutable()));
            if ($number % self::BATCH === 0 && $number < $import->getTotal()) {
                $this->progress->publish($import, $number);
                usleep($this->pauseMicroseconds);
            }
        }
        // In the same transaction as the rows, so that a repeated message is recognized.
        $import->become(ImportState::Done, new \DateTimeImmutable());
        $this->entityManager->flush();
        $this->progress->publish($import, $import->getTotal());
    }

    private function company(CompanyDraft $draft, Import $import): Company
    {
        $company = $this->entityManager->getRepository(Company::class)->findOneBy(['name' => $draft->name]);
        if ($company === null) {
            $company = new Company($draft, $import->getStartedBy(), new \DateTimeImmutable());
            $this->entityManager->persist($company);
        }

        return $company;
    }

    private function fail(int $id): void
    {
        // A failed flush has closed the manager, which still contains the rows.
        $this->registry->resetManager();
        $import = $this->entityManager->find(Import::class, $id);
        if ($import !== null) {
            $import->become(ImportState::Failed, new \DateTimeImmutable());
            $this->entityManager->flush();
            $this->progress->publish($import, 0);
        }
    }
}
