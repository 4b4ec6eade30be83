<?php

declare(strict_types=1);

namespace Orosync\Bench;

/** The results of one benchmark: repetitions, ratios within the run, goals. Written as JSON, printed as a table. */
final class Result
{
    /** @var array<string, array<string, list<float>>> repetitions by case and peer */
    private array $cases = [];
    /** @var list<array{text: string, value: float, limit: float, reached: bool, reason?: string}> */
    private array $goals = [];

    public function __construct(
        private readonly string $question,
        private readonly string $title,
        private readonly string $unit,
        private readonly Stage $stage,
    ) {
    }

    /** Adds one repetition. Peers appear in the order of their first repetition. */
    public function add(string $case, string $peer, float $value): void
    {
        $this->cases[$case][$peer][] = $value;
    }

    public function median(string $case, string $peer): float
    {
        return self::medianOf($this->cases[$case][$peer]);
    }

    /** Median of the ratios of corresponding repetitions, which cancels noise that affects both. */
    public function ratio(string $case, string $peer, string $other): float
    {
        return self::medianOf(array_map(
            static fn (float $value, float $beside): float => $value / $beside,
            $this->cases[$case][$peer],
            $this->cases[$case][$other]
        ));
    }

    /** Adds a goal. The reason is kept and shown only if the goal is missed. */
    public function goalAtMost(string $text, float $value, float $limit, string $reason): void
    {
        $this->addGoal("$text: at most", $value, $limit, $value <= $limit, $reason);
    }

    public function goalAtLeast(string $text, float $value, float $limit, string $reason): void
    {
        $this->addGoal("$text: at least", $value, $limit, $value >= $limit, $reason);
    }

    /** The same peers, rotated by one for each repetition. */
    public static function rotated(array $peers, int $turn): array
    {
        $turn %= count($peers);

        return [...array_slice($peers, $turn), ...array_slice($peers, 0, $turn)];
    }

    /** @param non-empty-list<float> $values */
    public static function medianOf(array $values): float
    {
        sort($values);
        $middle = intdiv(count($values), 2);

        return count($values) % 2 === 1 ? $values[$middle] : ($values[$middle - 1] + $values[$middle]) / 2;
    }

    public function print(): void
    {
        printf("\n# %s: %s\n%s\n", $this->title, $this->unit, $this->stage->machine->inWords());
        foreach ($this->cases as $case => $peers) {
            printf("  %s\n", $case);
            foreach ($peers as $peer => $values) {
                $spread = sprintf('%.4g to %.4g', min($values), max($values));
                $median = $this->median($case, $peer);
                printf("    %-28s %10.4g   (%s, %d repetitions)\n", $peer, $median, $spread, count($values));
            }
        }
        echo "\n";
        foreach ($this->goals as $goal) {
            $word = $goal['reached'] ? 'reached' : 'MISSED';
            printf("%8s  %s %.4g: %.4g\n", $word, $goal['text'], $goal['limit'], $goal['value']);
            echo isset($goal['reason']) ? "          {$goal['reason']}\n" : '';
        }
    }

    public function write(string $directory): void
    {
        if (!is_dir($directory)) {
            mkdir($directory, 0777, true);
        }
        $cases = [];
        foreach ($this->cases as $case => $peers) {
            $rows = [];
            foreach ($peers as $peer => $values) {
                $ratios = [];
                foreach (array_keys($peers) as $other) {
                    // There is no ratio to zero.
                    if ($other !== $peer && min($peers[$other]) > 0.0) {
                        $ratios[$other] = self::rounded($this->ratio($case, $peer, $other));
                    }
                }
                $rows[] = [
                    'peer' => $peer,
                    'repetitions' => array_map(self::rounded(...), $values),
                    'median' => self::rounded($this->median($case, $peer)),
                    'min' => self::rounded(min($values)),
                    'max' => self::rounded(max($values)),
                    'ratio_to' => (object) $ratios,
                ];
            }
            $cases[] = ['name' => $case, 'rows' => $rows];
        }
        $answer = [
            'question' => $this->question,
            'title' => $this->title,
            'unit' => $this->unit,
            'machine' => $this->stage->machine->properties,
            'versions' => $this->stage->versions(),
            'cases' => $cases,
            'goals' => array_map(
                static fn (array $goal): array => ['value' => self::rounded($goal['value']),
                    'limit' => self::rounded($goal['limit'])] + $goal,
                $this->goals
            ),
        ];
        $json = json_encode($answer, JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR);
        file_put_contents("$directory/$this->question.json", "$json\n");
    }

    private function addGoal(string $text, float $value, float $limit, bool $reached, string $reason): void
    {
        $goal = ['text' => $text, 'value' => $value, 'limit' => $limit, 'reached' => $reached];
        $this->goals[] = $reached ? $goal : $goal + ['reason' => $reason];
    }

    /** Rounds to four significant digits; more would be noise. */
    private static function rounded(float $value): float
    {
        return (float) sprintf('%.4g', $value);
    }
}
