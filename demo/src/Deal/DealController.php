<?php

declare(strict_types=1);

namespace Demo\Deal;

use Demo\Entity\Company;
use Demo\Entity\Deal;
use Demo\Entity\Record;
use Demo\Record\Draft;
use Demo\Record\RecordController;
use Demo\Record\RecordKind;
use Demo\Record\RecordPage;
use Doctrine\ORM\EntityManagerInterface;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;

final class DealController extends RecordController
{
    public function __construct(EntityManagerInterface $entityManager, private readonly DealNews $news)
    {
        parent::__construct($entityManager);
    }

    public function list(Request $request): Response
    {
        $query = $this->entityManager->getRepository(Deal::class)->createQueryBuilder('record')
            ->join('record.company', 'company')->addSelect('company')
            ->leftJoin('record.contact', 'contact')->addSelect('contact');

        return $this->show('list', ['page' => RecordPage::of($query, $request)]);
    }

    protected function kind(): RecordKind
    {
        return new RecordKind('deal', 'deals', Deal::class, DealType::class);
    }

    /** The new deal, for the company in the request. */
    protected function newDraft(Request $request): Draft
    {
        $company = $this->entityManager->find(Company::class, $request->query->getInt('company'));

        return new DealDraft($company ?? throw $this->createNotFoundException('There is no such company.'));
    }

    protected function obstacle(Record $record): ?string
    {
        return null;
    }

    protected function saved(Record $record): void
    {
        \assert($record instanceof Deal);
        $this->news->publish($record);
    }

    protected function deleted(Record $record, int $id): void
    {
        \assert($record instanceof Deal);
        $this->news->tellDeleted($record, $id);
    }
}
