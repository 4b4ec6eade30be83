<?php

declare(strict_types=1);

namespace Demo\Contact;

use Demo\Entity\Contact;
use Demo\Entity\User;
use Doctrine\DBAL\LockMode;
use Doctrine\ORM\EntityManagerInterface;
use Doctrine\ORM\OptimisticLockException;
use Doctrine\Persistence\ManagerRegistry;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\Form\FormInterface;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;

/**
 * List, view, create, edit and delete contacts.
 *
 * Nothing in here knows of notifications: the bundle listens to Doctrine, and the templates name what a page shows. The
 * lock stays what protects the data; a notification only spares people the surprise.
 */
final class ContactController extends AbstractController
{
    public function __construct(
        private readonly EntityManagerInterface $entityManager,
        private readonly ManagerRegistry $registry,
    ) {
    }

    public function list(): Response
    {
        return $this->render('contact/list.html.twig', [
            'contacts' => $this->entityManager->getRepository(Contact::class)->findBy([], ['name' => 'ASC']),
        ]);
    }

    public function view(int $id): Response
    {
        $contact = $this->entityManager->find(Contact::class, $id);

        return $contact === null
            ? $this->gone($id)
            : $this->render('contact/view.html.twig', ['contact' => $contact]);
    }

    public function create(Request $request): Response
    {
        $draft = new ContactDraft();
        $form = $this->createForm(ContactType::class, $draft)->handleRequest($request);
        if ($form->isSubmitted() && $form->isValid()) {
            $contact = new Contact($draft, $this->author(), new \DateTimeImmutable());
            $this->entityManager->persist($contact);
            $this->entityManager->flush();
            $this->addFlash('success', sprintf('%s was added.', $contact->getName()));

            return $this->redirectToRoute('contact', ['id' => $contact->getId()]);
        }

        return $this->render('contact/create.html.twig', ['form' => $form->createView()], $this->answerTo($form));
    }

    public function edit(int $id, Request $request): Response
    {
        $contact = $this->entityManager->find(Contact::class, $id);
        if ($contact === null) {
            return $this->gone($id);
        }
        $draft = ContactDraft::of($contact);
        $form = $this->createForm(ContactType::class, $draft)->handleRequest($request);
        if ($form->isSubmitted() && $form->isValid()) {
            try {
                $this->entityManager->lock($contact, LockMode::OPTIMISTIC, $draft->version);
                $changed = $contact->change($draft, $this->author(), new \DateTimeImmutable());
                $this->entityManager->flush();
            } catch (OptimisticLockException) {
                return $this->refuse($id, $draft);
            }
            $this->addFlash('success', $changed ? 'Your changes are saved.' : 'There was nothing to save.');

            return $this->redirectToRoute('contact', ['id' => $id]);
        }

        return $this->render(
            'contact/edit.html.twig',
            ['contact' => $contact, 'form' => $form->createView()],
            $this->answerTo($form),
        );
    }

    public function delete(int $id, Request $request): Response
    {
        $contact = $this->entityManager->find(Contact::class, $id);
        if ($contact === null) {
            return $this->gone($id);
        }
        if (!$this->isCsrfTokenValid("delete-contact-$id", $request->request->get('token'))) {
            $this->addFlash('error', 'This page was open for too long. Nothing was deleted: please try again.');

            return $this->redirectToRoute('contact', ['id' => $id]);
        }
        try {
            $this->entityManager->lock($contact, LockMode::OPTIMISTIC, $request->request->getInt('version'));
            $this->entityManager->remove($contact);
            $this->entityManager->flush();
        } catch (OptimisticLockException) {
            $this->addFlash('error', 'Somebody has saved this contact meanwhile. It was not deleted: look first.');

            return $this->redirectToRoute('contact', ['id' => $id]);
        }
        $this->addFlash('success', sprintf('%s was deleted.', $contact->getName()));

        return $this->redirectToRoute('contacts');
    }

    /**
     * A lost update: shows what the other has saved beside what was refused. The form in that page carries the version
     * just shown, so saving again is a decision and no accident.
     */
    private function refuse(int $id, ContactDraft $mine): Response
    {
        // A failed flush has closed the manager, and its contact may hold what was refused.
        $this->registry->resetManager();
        $contact = $this->entityManager->find(Contact::class, $id);
        if ($contact === null) {
            return $this->gone($id);
        }
        $theirs = ContactDraft::of($contact);
        $mine->version = $theirs->version;

        return $this->render('contact/conflict.html.twig', [
            'contact' => $contact,
            'differences' => $mine->differences($theirs),
            'form' => $this->createForm(ContactType::class, $mine)->createView(),
        ], new Response(status: Response::HTTP_CONFLICT));
    }

    private function gone(int $id): Response
    {
        return $this->render('contact/gone.html.twig', ['id' => $id], new Response(status: Response::HTTP_NOT_FOUND));
    }

    private function answerTo(FormInterface $form): Response
    {
        return new Response(
            status: $form->isSubmitted() ? Response::HTTP_UNPROCESSABLE_ENTITY : Response::HTTP_OK,
        );
    }

    private function author(): string
    {
        $user = $this->getUser();

        return $user instanceof User ? $user->getName() : throw new \LogicException('Only users save contacts.');
    }
}
