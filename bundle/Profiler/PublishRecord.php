<?php

declare(strict_types=1);

namespace Orosync\Profiler;

/** One call of publish(), as the profiler keeps it. */
final class PublishRecord
{
    /**
     * @param string|null $json   the payload as pages get it, cut; null when it has none
     * @param int|null    $bytes  of the whole payload
     * @param string|null $reason why it was not accepted; null: it was
     * @param string|null $complaint why nobody receives what was accepted; null: somebody may
     */
    public function __construct(
        public readonly string $topic,
        public readonly ?string $json,
        public readonly ?int $bytes,
        public readonly ?string $reason,
        public readonly float $microseconds,
        public readonly ?string $complaint = null,
    ) {
    }

    public function withComplaint(string $complaint): self
    {
        return new self($this->topic, $this->json, $this->bytes, $this->reason, $this->microseconds, $complaint);
    }
}
