<?php

declare(strict_types=1);

namespace Orosync\Bench;

/** The machine's properties that results depend on, from the program `machine`: at the start of the run, or now. */
final class Machine
{
    /** @param array<string, string|int|float> $properties by their keys in the results */
    private function __construct(public readonly array $properties)
    {
    }

    /** @param string $program the compiled program, run if the environment has no description */
    public static function here(string $program): self
    {
        $told = getenv('BENCH_MACHINE') ?: '';
        if ($told === '' && !is_file($program)) {
            throw new \RuntimeException("$program is missing. Build it first: make bench-programs");
        }

        return new self(json_decode($told ?: Process::run([$program, '--json']), true, 512, JSON_THROW_ON_ERROR));
    }

    public function inWords(): string
    {
        $of = $this->properties;

        return sprintf(
            '%d cores, %s, hypervisor %s, Linux %s, io_uring %s, clock %s, a system call %.0f ns, a wake-up %.1f us; %s',
            $of['cores'],
            $of['cpu'],
            $of['hypervisor'],
            $of['kernel'],
            $of['io_uring'],
            $of['clock'],
            $of['system_call_ns'],
            $of['wake_us'],
            $of['date']
        );
    }
}
