<?php

declare(strict_types=1);

namespace Orosync\Oro\Topics;

use Gos\Bundle\PubSubRouterBundle\Router\Route;
use Gos\Bundle\WebSocketBundle\Topic\PushableTopicInterface;
use Gos\Bundle\WebSocketBundle\Topic\SecuredTopicInterface;
use Gos\Bundle\WebSocketBundle\Topic\TopicPeriodicTimerInterface;
use Oro\Bundle\ImapBundle\Topic\SyncFailTopic;
use Oro\Bundle\SyncBundle\Topic\AbstractTopic;
use Oro\Bundle\SyncBundle\Topic\BroadcastTopic;
use Oro\Bundle\SyncBundle\Topic\SecuredTopic;
use Oro\Bundle\SyncBundle\Topic\WebsocketPingTopic;
use Orosync\Topic\Finding;
use Orosync\Topic\TopicPattern;
use Orosync\Topic\TopicRule;
use Orosync\Topic\Translation;

/**
 * Translates a websocket route and its handler to the server's policies.
 *
 * Exact for Oro's own handlers. If a class of the application decides in PHP, the topic becomes `granted` (nobody until a grant
 * names it), and the class is reported with what to do.
 */
final class RouteTranslator
{
    /** Topics built into the server, with Oro's handlers. */
    public const BUILT_IN = [
        'oro/ping' => WebsocketPingTopic::class,
        'oro/maintenance' => BroadcastTopic::class,
        'oro/data/update' => BroadcastTopic::class,
        'oro/message_queue_heartbeat' => BroadcastTopic::class,
        'oro/outdated_user_page' => BroadcastTopic::class,
        'oro/email_event/{user_id:int}/{organization_id:int_or_star}' => SecuredTopic::class,
        'oro/attribute_import/{user_id:int}/{config_model_id:int}' => SecuredTopic::class,
        'oro/reminder_remind/{user_id:int}' => SecuredTopic::class,
        'oro/imap_sync_fail/{user_id:int_or_star}' => SyncFailTopic::class,
    ];

    /** Regular expressions of route requirements, and the server's capture kinds. */
    private const KINDS = [
        '[^/]+' => '',
        '\d+' => ':int',
        '[0-9]+' => ':int',
        '\d+|\*' => ':int_or_star',
        '\*|\d+' => ':int_or_star',
        '[0-9]+|\*' => ':int_or_star',
    ];

    /** The capture that Oro's SecuredTopic reads; the server's owner id. */
    private const OWNER = 'user_id';

    /** Methods that Oro's old server called on handlers of each interface, and their replacement. */
    private const HOOKS = [
        PushableTopicInterface::class => ['onPush', 'was called by a pusher; publish instead of calling the pusher: %s'],
        TopicPeriodicTimerInterface::class => [
            'registerPeriodicTimer',
            'ran in the server; run a command that publishes from a system timer (cron, systemd): %s',
        ],
    ];
    private const PUBLISHING = 'oro_sync.websocket_client.';

    /** @param class-string|null $handler null: the route's callback has no handler */
    public function translate(string $name, Route $route, ?string $handler): Translation
    {
        $where = sprintf('route %s (%s)', $name, $route->getPattern());
        if (null === $handler) {
            return self::found($where, sprintf(
                'has no handler "%s"; the topic is omitted. Register one, or remove the route.',
                \is_string($route->getCallback()) ? $route->getCallback() : get_debug_type($route->getCallback()),
            ));
        }
        try {
            $pattern = self::pattern($route);
        } catch (\UnexpectedValueException $e) {
            return self::found($where, $e->getMessage() . ' The topic is omitted.');
        }
        if ($handler === (self::BUILT_IN[$pattern] ?? null)) {
            return new Translation([], [$pattern], []);
        }
        $origin = sprintf('%s, %s', $name, $handler);
        $findings = self::findings($handler);
        $subscribe = self::subscribe($handler);
        if (SyncFailTopic::class === $subscribe) {
            return new Translation([
                new TopicRule(str_replace('{user_id:int_or_star}', '*', $pattern), 'user', 'publisher', $origin),
                new TopicRule(str_replace(':int_or_star}', ':int}', $pattern), 'owner', 'publisher', $origin),
            ], [], $findings);
        }
        if ('owner' === $subscribe && !str_contains($pattern, '{' . self::OWNER)) {
            $findings[] = new Finding($where, sprintf(
                'allows the user of {%s}, which the channel lacks, so nobody may subscribe. Add it to the channel.',
                self::OWNER,
            ));
            $subscribe = 'nobody';
        }

        return new Translation([new TopicRule($pattern, $subscribe, 'publisher', $origin)], [], $findings);
    }

    /**
     * @param class-string $handler
     *
     * @return string a policy word; SyncFailTopic is translated to two rules
     */
    private static function subscribe(string $handler): string
    {
        if (is_a($handler, SecuredTopicInterface::class, true)) {
            return 'granted';
        }

        return match (self::declaring($handler, 'onSubscribe')) {
            AbstractTopic::class => 'user',
            SecuredTopic::class => 'owner',
            SyncFailTopic::class => SyncFailTopic::class,
            default => 'granted',
        };
    }

    /**
     * @param class-string $handler
     *
     * @return list<Finding>
     */
    private static function findings(string $handler): array
    {
        $findings = [];
        $method = static fn (string $name): string => sprintf('%s::%s()', $handler, $name);
        $deciding = match (true) {
            is_a($handler, SecuredTopicInterface::class, true) => 'secure',
            'granted' === self::subscribe($handler) => 'onSubscribe',
            default => null,
        };
        if (null !== $deciding) {
            $findings[] = new Finding($method($deciding), 'decides who may subscribe. If it only checks the user, '
                . 'use a policy (anyone, customer, user, owner); otherwise return the topics of a user from a service '
                . 'that implements Orosync\Ticket\TopicGrantInterface. Until then nobody may subscribe.');
        }
        if (!\in_array(self::declaring($handler, 'onPublish'), [BroadcastTopic::class, WebsocketPingTopic::class], true)) {
            $findings[] = new Finding($method('onPublish'), 'reads or changes messages; they are now delivered as '
                . 'published. Change them before: ' . self::PUBLISHING);
        }
        if (AbstractTopic::class !== self::declaring($handler, 'onUnSubscribe')) {
            $findings[] = new Finding($method('onUnSubscribe'), 'is not called: the server does not notify PHP of connections.');
        }
        if (WebsocketPingTopic::class !== $handler) {
            foreach (self::HOOKS as $interface => [$hook, $advice]) {
                if (is_a($handler, $interface, true)) {
                    $findings[] = new Finding($method($hook), sprintf($advice, self::PUBLISHING));
                }
            }
        }

        return $findings;
    }

    /** @throws \UnexpectedValueException a part of the channel cannot be translated */
    private static function pattern(Route $route): string
    {
        $pattern = $route->getPattern();
        $offset = 0;
        $translated = '';
        preg_match_all('~\{!?(\w+)\}~', $pattern, $captures, \PREG_SET_ORDER | \PREG_OFFSET_CAPTURE);
        foreach ($captures as [[$text, $start], [$name]]) {
            $end = $start + \strlen($text);
            $requirement = $route->getRequirement($name) ?? '[^/]+';
            $kind = self::KINDS[$requirement] ?? throw new \UnexpectedValueException(sprintf(
                '{%s} is "%s": the server supports whole segments, digits (\d+), and digits or a star (\d+|\*).',
                $name,
                $requirement,
            ));
            $isSegment = \in_array($pattern[$start - 1] ?? '/', ['/'], true) && \in_array($pattern[$end] ?? '/', ['/'], true);
            if ('' === $kind && !$isSegment) {
                throw new \UnexpectedValueException(sprintf('{%s} matches any text within a segment, which the server does not support.', $name));
            }
            if ($route->hasDefault($name)) {
                throw new \UnexpectedValueException(sprintf('{%s} is optional. Write two routes instead.', $name));
            }
            $translated .= TopicPattern::escape(substr($pattern, $offset, $start - $offset)) . '{' . $name . $kind . '}';
            $offset = $end;
        }

        return $translated . TopicPattern::escape(substr($pattern, $offset));
    }

    /** @param class-string $class */
    private static function declaring(string $class, string $method): string
    {
        return method_exists($class, $method) ? (new \ReflectionMethod($class, $method))->class : '';
    }

    private static function found(string $where, string $advice): Translation
    {
        return new Translation([], [], [new Finding($where, $advice)]);
    }
}
