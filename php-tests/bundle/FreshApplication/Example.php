<?php

declare(strict_types=1);

namespace Orosync\Tests\FreshApplication;

use PHPUnit\Framework\Assert;

/** The code blocks of a section of a document, including its subsections. */
final class Example
{
    private readonly string $section;

    /**
     * @param string $document from the root of the repository
     * @param string $heading  of the second or third level
     */
    public function __construct(string $document, string $heading)
    {
        $text = file_get_contents(\dirname(__DIR__, 3) . '/' . $document);
        $form = '~^(?:## %1$s\n.*?(?=^## |\z)|### %1$s\n.*?(?=^###? |\z))~ms';
        Assert::assertSame(1, preg_match_all(sprintf($form, preg_quote($heading, '~')), $text, $sections), $heading);
        $this->section = $sections[0][0];
    }

    /** The block whose first line contains the file name. */
    public function file(string $file): string
    {
        Assert::assertSame(1, preg_match('~^```\w+\n(\S+ ' . preg_quote($file) . '\b.*?)^```$~ms', $this->section, $example), $file);

        return $example[1];
    }

    /** The first class with this name, in the namespace `App`. */
    public function phpClass(string $name): string
    {
        Assert::assertSame(1, preg_match('~^```php\n((?:(?!^```).)*^final class ' . $name . '\b.*?)^```$~ms', $this->section, $example), $name);

        return "<?php\n\ndeclare(strict_types=1);\n\nnamespace App;\n\n" . $example[1];
    }

    /** @return list<string> the arguments of the console in the line that runs this command */
    public function command(string $name): array
    {
        Assert::assertSame(1, preg_match('~^bin/console (' . $name . '\b[^#\n]*)~m', $this->section, $line), $name);

        return explode(' ', trim($line[1]));
    }

    public function text(): string
    {
        return $this->section;
    }
}
