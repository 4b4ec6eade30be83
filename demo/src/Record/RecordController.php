<?php

declare(strict_types=1);

namespace Demo\Record;

use Demo\Entity\Record;
use Demo\Entity\User;
use Doctrine\DBAL\LockMode;
use Doctrine\ORM\EntityManagerInterface;
use Doctrine\ORM\OptimisticLockException;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\Form\FormInterface;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;

/**
 * View, create, edit and delete records of one kind.
 *
 * It has no code for notifications: the bundle listens to Doctrine, and the templates register the content of a page. The lock
 * protects the data; notifications only make conflicts rarer.
 */
abstract class RecordController extends AbstractController
{
    public function __construct(protected readonly EntityManagerInterface $entityManager)
    {
    }

    public function view(int $id): Response
    {
        $record = $this->find($id);

        return $record === null ? $this->gone($id) : $this->show('view', ['record' => $record]);
    }

    public function create(Request $request): Response
    {
        $kind = $this->kind();
        $draft = $this->newDraft($request);
        $form = $this->createForm($kind->form, $draft)->handleRequest($request);
        if ($form->isSubmitted() && $form->isValid()) {
            $record = new ($kind->entity)($draft, $this->author(), new \DateTimeImmutable());
            $this->entityManager->persist($record);
            $this->entityManager->flush();
            $this->saved($record);
            $this->addFlash('success', sprintf('%s was added.', $record->getName()));

            return $this->redirectToRoute($kind->name, ['id' => $record->getId()], Response::HTTP_SEE_OTHER);
        }

        return $this->showForm('record/create.html.twig', $form);
    }

    public function edit(int $id, Request $request): Response
    {
        $record = $this->find($id);
        if ($record === null) {
            return $this->gone($id);
        }
        $draft = $record->draft();
        $form = $this->createForm($this->kind()->form, $draft)->handleRequest($request);
        if ($form->isSubmitted() && $form->isValid()) {
            try {
                $this->entityManager->lock($record, LockMode::OPTIMISTIC, $draft->version);
            } catch (OptimisticLockException) {
                return $this->refuse($record, $draft);
            }
            $changed = $record->change($draft, $this->author(), new \DateTimeImmutable());
            try {
                $this->entityManager->flush();
            } catch (OptimisticLockException) {
                // Another user saved first. The redirect repeats the request, which is then compared with that save.
                return $this->redirect($request->getUri(), Response::HTTP_TEMPORARY_REDIRECT);
            }
            if ($changed) {
                $this->saved($record);
            }
            $this->addFlash('success', $changed ? 'Your changes are saved.' : 'There was nothing to save.');

            return $this->redirectToRoute($this->kind()->name, ['id' => $id], Response::HTTP_SEE_OTHER);
        }

        return $this->showForm('record/edit.html.twig', $form, $record);
    }

    public function delete(int $id, Request $request): Response
    {
        $record = $this->find($id);
        if ($record === null) {
            return $this->gone($id);
        }
        $refusal = $this->isCsrfTokenValid("delete-$id", $request->request->get('token'))
            ? $this->obstacle($record)
            : 'This page was open for too long. Nothing was deleted: please try again.';
        if ($refusal === null) {
            try {
                $this->entityManager->lock($record, LockMode::OPTIMISTIC, $request->request->getInt('version'));
                $this->entityManager->remove($record);
                $this->entityManager->flush();
                $this->deleted($record, $id);
            } catch (OptimisticLockException) {
                $refusal = "Somebody has saved this {$this->kind()->name} meanwhile. It was not deleted: look first.";
            }
        }
        if ($refusal !== null) {
            $this->addFlash('error', $refusal);

            return $this->redirectToRoute($this->kind()->name, ['id' => $id], Response::HTTP_SEE_OTHER);
        }
        $this->addFlash('success', sprintf('%s was deleted.', $record->getName()));

        return $this->redirectToRoute($this->kind()->plural, [], Response::HTTP_SEE_OTHER);
    }

    abstract protected function kind(): RecordKind;

    abstract protected function newDraft(Request $request): Draft;

    /** The reason why it cannot be deleted; null: it can. */
    abstract protected function obstacle(Record $record): ?string;

    /** Called after a record was added or changed and committed. */
    protected function saved(Record $record): void
    {
    }

    /** Called after a record was deleted and committed. It has no id any more. */
    protected function deleted(Record $record, int $id): void
    {
    }

    /** @param array<string, mixed> $parameters of a template of this kind */
    protected function show(string $template, array $parameters): Response
    {
        return $this->render("{$this->kind()->name}/$template.html.twig", $parameters);
    }

    private function showForm(string $template, FormInterface $form, ?Record $record = null): Response
    {
        return $this->render(
            $template,
            ['kind' => $this->kind(), 'record' => $record, 'form' => $form->createView()],
            new Response(status: $form->isSubmitted() ? Response::HTTP_UNPROCESSABLE_ENTITY : Response::HTTP_OK),
        );
    }

    /**
     * Shows a refused save next to the saved record. The form of that page contains the version just shown, so saving again is
     * a deliberate decision.
     */
    private function refuse(Record $record, Draft $mine): Response
    {
        $theirs = $record->draft();
        $mine->version = $theirs->version;

        return $this->render('record/conflict.html.twig', [
            'kind' => $this->kind(),
            'record' => $record,
            'differences' => $mine->differences($theirs),
            'form' => $this->createForm($this->kind()->form, $mine)->createView(),
        ], new Response(status: Response::HTTP_CONFLICT));
    }

    private function find(int $id): ?Record
    {
        return $this->entityManager->find($this->kind()->entity, $id);
    }

    private function gone(int $id): Response
    {
        return $this->render(
            'record/gone.html.twig',
            ['kind' => $this->kind(), 'id' => $id],
            new Response(status: Response::HTTP_NOT_FOUND),
        );
    }

    private function author(): string
    {
        $user = $this->getUser();

        return $user instanceof User ? $user->getName() : throw new \LogicException('Only users save records.');
    }
}
