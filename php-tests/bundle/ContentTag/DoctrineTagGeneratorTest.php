<?php

declare(strict_types=1);

namespace Orosync\Tests\ContentTag;

use Doctrine\ORM\EntityManagerInterface;
use Orosync\ContentTag\TagGeneratorInterface;
use Orosync\Tests\Application\Entity\B2BDeal;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\Application\Entity\Contact;
use Orosync\Tests\Application\Entity\Label;
use Orosync\Tests\Application\Entity\Stage;
use Orosync\Tests\ApplicationTestCase;
use Symfony\Component\Form\Extension\Core\Type\FormType;
use Symfony\Component\Form\Forms;

final class DoctrineTagGeneratorTest extends ApplicationTestCase
{
    private const CONTACT = 'Orosync_Tests_Application_Entity_Contact';
    private const COMPANY = 'Orosync_Tests_Application_Entity_Company';
    private const LABEL = 'Orosync_Tests_Application_Entity_Label';

    private EntityManagerInterface $manager;
    private TagGeneratorInterface $tags;

    protected function setUp(): void
    {
        $this->tags = $this->boot()->get(TagGeneratorInterface::class);
        $this->manager = $this->manager();
    }

    public function testTheTagOfAStoredEntityConsistsOfClassAndId(): void
    {
        $contact = $this->contact();

        self::assertSame([self::CONTACT . '_1'], $this->tags->generate($contact));
        self::assertSame([self::CONTACT . '_1', self::CONTACT . '_type_collection'], $this->tags->generate($contact, true));
    }

    public function testASequenceOfOtherCharactersBecomesOneUnderscore(): void
    {
        self::assertSame(['Orosync_Tests_Application_Entity_B_BDeal_type_collection'], $this->tags->generate(B2BDeal::class, true));
    }

    public function testACompositeIdIsJoined(): void
    {
        $this->contact();

        self::assertSame([self::LABEL . '_en_1'], $this->tags->generate($this->manager->find(Label::class, ['language' => 'en', 'number' => 1])));
    }

    public function testAnEnumIdIsRepresentedByItsValue(): void
    {
        $this->manager->persist($deal = new B2BDeal(Stage::Won));
        $this->manager->flush();

        self::assertSame(['Orosync_Tests_Application_Entity_B_BDeal_won'], $this->tags->generate($deal));
    }

    public function testAProxyHasTheTagOfItsEntity(): void
    {
        $id = $this->contact()->id;
        $this->manager->clear();

        self::assertSame([self::CONTACT . '_1'], $this->tags->generate($this->manager->getReference(Contact::class, $id)));
    }

    public function testANewOrDetachedEntityHasNoTagOfItsOwn(): void
    {
        $new = new Contact('new');
        self::assertSame([], $this->tags->generate($new));
        self::assertSame([self::CONTACT . '_type_collection'], $this->tags->generate($new, true));

        $this->manager->persist($label = new Label('de', 2, 'scheduled, with an id already'));
        self::assertSame([], $this->tags->generate($label));

        $detached = $this->contact();
        $this->manager->detach($detached);
        self::assertSame([], $this->tags->generate($detached));
    }

    public function testTagsOfReferencedEntitiesGoOneLevelDeepWithoutCollectionTags(): void
    {
        $contact = $this->contact();

        self::assertSame(
            [self::CONTACT . '_1', self::COMPANY . '_1', self::LABEL . '_en_1', self::CONTACT . '_type_collection'],
            $this->tags->generate($contact, true, true),
        );
    }

    public function testAnUninitializedCollectionIsNotLoaded(): void
    {
        $id = $this->contact()->id;
        $this->manager->clear();
        $contact = $this->manager->find(Contact::class, $id);

        self::assertSame([self::CONTACT . '_1', self::COMPANY . '_1'], $this->tags->generate($contact, false, true));
        self::assertFalse($contact->labels->isInitialized());
    }

    public function testAClassHasOnlyItsCollectionTag(): void
    {
        self::assertSame([self::CONTACT . '_type_collection'], $this->tags->generate(Contact::class, true, true));
        self::assertSame([], $this->tags->generate(Contact::class));
    }

    public function testAFormHasTheTagsOfItsData(): void
    {
        $form = Forms::createFormFactory()->create(FormType::class, $this->contact(), ['data_class' => Contact::class]);
        $empty = Forms::createFormFactory()->create();

        self::assertSame([self::CONTACT . '_1'], $this->tags->generate($form));
        self::assertFalse($this->tags->supports($empty));
    }

    public function testOtherValuesHaveNoTags(): void
    {
        foreach ([null, 7, 'text', 'Nobody\Knows\This', new \stdClass(), self::class, [], ['params' => [1]]] as $data) {
            self::assertFalse($this->tags->supports($data));
            self::assertSame([], $this->tags->generate($data, true, true));
        }
    }

    private function contact(): Contact
    {
        $contact = new Contact('ann');
        $contact->company = new Company('acme');
        $contact->labels[] = new Label('en', 1, 'friend');
        $this->manager->persist($contact);
        $this->manager->flush();

        return $contact;
    }
}
