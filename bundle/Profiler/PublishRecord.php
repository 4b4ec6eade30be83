<?php

declare(strict_types=1);

namespace Orosync\Profiler;

/** One call of publish(), as the profiler shows it. */
final class PublishRecord
{
    /**
     * @param string|null $json   the JSON payload, truncated; null: not encodable
     * @param int|null    $bytes  size of the whole payload
     * @param string|null $reason why it was not accepted; null: accepted
     * @param string|null $problem why no page receives an accepted message; null: no problem known
     */
    public function __construct(
        public readonly string $topic,
        public readonly ?string $json,
        public readonly ?int $bytes,
        public readonly ?string $reason,
        public readonly float $microseconds,
        public readonly ?string $problem = null,
    ) {
    }

    public function withProblem(string $problem): self
    {
        return new self($this->topic, $this->json, $this->bytes, $this->reason, $this->microseconds, $problem);
    }
}
