<?php

declare(strict_types=1);

namespace Demo\Company;

use Demo\Entity\Company;
use Demo\Entity\Contact;
use Demo\Entity\Deal;
use Demo\Entity\Record;
use Demo\Entity\User;
use Demo\Record\Draft;
use Demo\Record\RecordController;
use Demo\Record\RecordKind;
use Demo\Record\RecordPage;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;

final class CompanyController extends RecordController
{
    public function list(Request $request): Response
    {
        $query = $this->entityManager->getRepository(Company::class)->createQueryBuilder('record');

        return $this->show('list', ['page' => RecordPage::of($query, $request)]);
    }

    protected function kind(): RecordKind
    {
        return new RecordKind('company', 'companies', Company::class, CompanyType::class);
    }

    protected function newDraft(Request $request): Draft
    {
        return new CompanyDraft();
    }

    protected function obstacle(Record $record): ?string
    {
        foreach ([Contact::class => 'contacts', Deal::class => 'deals', User::class => 'logins'] as $class => $what) {
            if ($this->entityManager->getRepository($class)->count(['company' => $record]) > 0) {
                return "{$record->getName()} was not deleted: there are $what of this company.";
            }
        }

        return null;
    }
}
