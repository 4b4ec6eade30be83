<?php

declare(strict_types=1);

namespace Orosync\Oro\Topics;

use Gos\Bundle\PubSubRouterBundle\Router\RouterInterface;
use Gos\Bundle\WebSocketBundle\Topic\TopicInterface;
use Oro\Bundle\SyncBundle\Authentication\Origin\OriginProviderInterface;
use Orosync\Topic\Finding;
use Orosync\Topic\TopicSourceInterface;
use Orosync\Topic\Translation;
use Psr\Container\ContainerInterface;

/** The topics and origins of an Oro application: declared for Orosync, or configured for Oro's old server. */
final class ApplicationTopics implements TopicSourceInterface
{
    /** Always allowed by Oro. */
    public const THIS_MACHINE = ['localhost', '127.0.0.1'];

    /**
     * @param ContainerInterface    $handlers       topic handlers by service id
     * @param array<string, string> $handlerClasses their configured classes
     */
    public function __construct(
        private readonly RouterInterface $router,
        private readonly OriginProviderInterface $origins,
        private readonly RouteTranslator $translator,
        private readonly TopicSourceInterface $declared,
        private readonly ContainerInterface $handlers,
        private readonly array $handlerClasses,
    ) {
    }

    public function translation(): Translation
    {
        [$handlers, $broken] = $this->handlersByName();
        $parts = [];
        foreach ($this->router->getCollection() as $name => $route) {
            $callback = $route->getCallback();
            $parts[] = $this->translator->translate($name, $route, \is_string($callback) ? $handlers[$callback] ?? null : null);
        }

        return Translation::join($this->declared->translation(), new Translation([], [], $broken), ...$parts);
    }

    public function allowedOrigins(): array
    {
        return array_values(array_unique([...$this->origins->getOrigins(), ...self::THIS_MACHINE]));
    }

    /**
     * @return array{array<string, class-string>, list<Finding>} classes by the names in routes; handlers that cannot be built
     */
    private function handlersByName(): array
    {
        $handlers = [];
        $broken = [];
        foreach ($this->handlerClasses as $id => $class) {
            try {
                $handler = $this->handlers->get($id);
            } catch (\Throwable $e) {
                // Handlers for Oro's old server may need services that no longer exist.
                $broken[] = new Finding($class, sprintf('cannot be built (service %s): %s', $id, $e->getMessage()));
                continue;
            }
            if ($handler instanceof TopicInterface) {
                $handlers[$handler->getName()] = $handler::class;
            }
        }

        return [$handlers, $broken];
    }
}
