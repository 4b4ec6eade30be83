<?php

declare(strict_types=1);

namespace Demo\Contact;

use Demo\Entity\Company;
use Demo\Entity\Contact;
use Demo\Entity\Deal;
use Demo\Entity\Record;
use Demo\Record\Draft;
use Demo\Record\RecordController;
use Demo\Record\RecordKind;
use Demo\Record\RecordPage;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;

final class ContactController extends RecordController
{
    public function list(Request $request): Response
    {
        $query = $this->entityManager->getRepository(Contact::class)->createQueryBuilder('record')
            ->leftJoin('record.company', 'company')->addSelect('company');

        return $this->show('list', ['page' => RecordPage::of($query, $request)]);
    }

    protected function kind(): RecordKind
    {
        return new RecordKind('contact', 'contacts', Contact::class, ContactType::class);
    }

    /** The new contact, for the company in the request. */
    protected function newDraft(Request $request): Draft
    {
        $draft = new ContactDraft();
        $draft->company = $this->entityManager->find(Company::class, $request->query->getInt('company'));

        return $draft;
    }

    protected function obstacle(Record $record): ?string
    {
        return $this->entityManager->getRepository(Deal::class)->count(['contact' => $record]) > 0
            ? "{$record->getName()} was not deleted: there are deals with this contact."
            : null;
    }
}
