<?php

declare(strict_types=1);

namespace Orosync\Tests\Ticket;

use Orosync\Controller\TicketController;
use Orosync\Tests\Application\Customer;
use Orosync\Tests\Application\Entity\Company;
use Orosync\Tests\Application\User;
use Orosync\Tests\ApplicationTestCase;
use PHPUnit\Framework\Attributes\DataProvider;
use Symfony\Component\HttpFoundation\Request;

/** Topics in ticket requests, and the decisions of the application's voters. */
final class RequestedTopicsTest extends ApplicationTestCase
{
    private const TOPICS = ['acme/company/{company}' => ['voter' => 'VIEW', 'class' => Company::class]];
    private const WITH = ['security', 'doctrine', 'voter'];

    public function testAVoterGrantsTheTopicsOfTheObjectsThatItAllows(): void
    {
        $this->boot(['topics' => self::TOPICS], [], self::WITH);
        $this->save('ann', 'bob', 'ann');
        [$status, $answer, $claims] = $this->ticket(
            '{"topics":["acme/company/1","acme/company/2","acme/company/3","acme/company/3","acme/company/4","acme/company/01",'
            . '"acme/company/x","acme/company/1/2","acme/other","acme/company/99999999999999999999"]}',
        );

        self::assertSame([200, true], [$status, $answer['dependsOnTopics']]);
        self::assertSame(['acme/company/1', 'acme/company/3'], $claims['topics']);
        self::assertArrayNotHasKey('patterns', $claims);
        self::assertSame([], $this->logger()->lines('error: '));
    }

    public function testWithoutRequestedTopicsNothingIsGranted(): void
    {
        foreach (['', '{}', '{"topics":[]}'] as $body) {
            $this->boot(['topics' => self::TOPICS], [], self::WITH);
            $this->save('ann');
            [$status, $answer, $claims] = $this->ticket($body);

            self::assertSame([200, true], [$status, $answer['dependsOnTopics']]);
            self::assertArrayNotHasKey('topics', $claims, $body);
        }
    }

    public function testWithoutALoginVotersDecideAboutAnAnonymousUser(): void
    {
        $this->boot(['topics' => self::TOPICS], [], self::WITH);
        $this->save('ann');

        self::assertArrayNotHasKey('topics', $this->ticket('{"topics":["acme/company/1"]}', null)[2]);
        self::assertSame([], $this->logger()->lines('error: '));
    }

    public function testWithoutVotersTheRequestedTopicsAreNotRead(): void
    {
        $this->boot(['topics' => ['acme/news' => 'user']], [], self::WITH);
        [$status, $answer] = $this->ticket('no JSON');

        self::assertSame(200, $status);
        self::assertSame(['ticket', 'now'], array_keys($answer));
    }

    /** @dataProvider noLists */
    #[DataProvider('noLists')]
    public function testABodyThatIsNotAListOfTopicsIsRefused(string $body): void
    {
        $this->boot(['topics' => self::TOPICS], [], self::WITH);
        [$status, $answer] = $this->ticket($body);

        self::assertSame([400, ['error']], [$status, array_keys($answer)]);
        self::assertStringContainsString('at most 100 topics', $answer['error']);
    }

    public static function noLists(): iterable
    {
        yield ['no JSON'];
        yield ['7'];
        yield ['{"topics": 7}'];
        yield ['{"topics": {"a": "b"}}'];
        yield ['{"topics": [7]}'];
    }

    public function testRequestedTopicsAreBounded(): void
    {
        $topics = static fn (int $count): string => json_encode(['topics' => array_map(
            static fn (int $number): string => "acme/company/$number",
            range(1, $count),
        )]);
        $this->boot(['topics' => self::TOPICS], [], self::WITH);
        $this->save(...array_fill(0, 52, 'ann'));
        [$status, , $claims] = $this->ticket($topics(52));

        self::assertSame([200, 50], [$status, \count($claims['topics'])]);
        self::assertSame(
            ['error: A ticket was issued without some topics of the page: voters decide about at most 50 topics per ticket; "acme/company/51" exceeds the limit'],
            $this->logger()->lines('error: '),
        );

        $this->boot(['topics' => self::TOPICS], [], self::WITH);
        self::assertSame(400, $this->ticket($topics(101))[0]);
        $this->boot(['topics' => self::TOPICS], [], self::WITH);
        self::assertSame(400, $this->ticket(json_encode(['topics' => [str_repeat('x', 70_000)]]))[0]);
    }

    public function testALargeBodyIsReadOnlyUpToTheLimit(): void
    {
        $controller = $this->boot(['topics' => self::TOPICS], [], self::WITH)->get(TicketController::class);
        $body = fopen('php://temp', 'w+');
        fwrite($body, str_repeat('x', 10_000_000));
        $answer = $controller(new Request(content: $body));

        self::assertSame(400, $answer->getStatusCode());
        self::assertSame(65_537, ftell($body));
    }

    public function testABodyThatWasAlreadyReadIsReadAgain(): void
    {
        $controller = $this->boot(['topics' => self::TOPICS], [], self::WITH)->get(TicketController::class);
        foreach (['{"topics": 7}', ''] as $body) {
            $request = new Request(content: $body);
            $request->getContent();

            self::assertSame('' === $body ? 200 : 400, $controller($request)->getStatusCode());
            self::assertSame($body, $request->getContent());
        }
    }

    public function testAClassThatIsNotAnEntityIsLoggedAndTheTicketIsIssued(): void
    {
        $this->boot(['topics' => ['acme/customer/{id}' => ['voter' => 'VIEW', 'class' => Customer::class]]], [], self::WITH);
        [$status, , $claims] = $this->ticket('{"topics":["acme/customer/1"]}');

        self::assertSame([200, 'ann'], [$status, $claims['sub']]);
        self::assertSame(
            ['error: The voters could not decide about VIEW on the topic "acme/customer/1": "' . Customer::class . '" is not a Doctrine '
                . 'entity, so no object can be loaded by its id.'],
            $this->logger()->lines('error: '),
        );
    }

    public function testATicketHasTheUsersRolesThatTopicsName(): void
    {
        $this->boot(['topics' => [
            'acme/sales' => 'ROLE_SALES',
            'acme/all' => ['ROLE_USER', 'ROLE_SALES'],
            'acme/lead' => 'ROLE_LEAD',
            'acme/broken' => 'ROLE_BROKEN',
        ]], [], self::WITH);

        // Includes ROLE_SALES by the role hierarchy.
        self::assertSame(['ROLE_SALES', 'ROLE_USER'], $this->ticket()[2]['roles']);
        self::assertSame(
            ['error: A ticket was issued without the role ROLE_BROKEN: the directory of roles is unreachable'],
            $this->logger()->lines('error: '),
        );
        $this->boot(['topics' => ['acme/sales' => 'ROLE_SALES']], [], self::WITH);
        self::assertArrayNotHasKey('roles', $this->ticket('', null)[2], 'nobody');
        $this->boot(['topics' => ['acme/lead' => 'ROLE_LEAD']], [], self::WITH);
        self::assertArrayNotHasKey('roles', $this->ticket()[2], 'a user without the role');
        $this->boot(['topics' => ['acme/news' => 'user']], [], self::WITH);
        self::assertArrayNotHasKey('roles', $this->ticket()[2], 'without a topic that names a role');
    }

    private function save(string ...$names): void
    {
        $manager = $this->manager();
        foreach ($names as $name) {
            $manager->persist(new Company($name));
        }
        $manager->flush();
        $manager->clear();
    }

    /** @return array{int, array<string, mixed>, array<string, mixed>} the status, the answer, the claims of its ticket */
    private function ticket(string $body = '', ?User $user = new User('ann', 7, null)): array
    {
        $browser = $this->browser($user);
        $browser->request('POST', '/sync/ticket', [], [], ['CONTENT_TYPE' => 'application/json'], $body);
        $answer = json_decode($browser->getResponse()->getContent(), true, 512, \JSON_THROW_ON_ERROR);

        return [$browser->getResponse()->getStatusCode(), $answer, json_decode($answer['ticket'] ?? '{}', true)['claims'] ?? []];
    }
}
