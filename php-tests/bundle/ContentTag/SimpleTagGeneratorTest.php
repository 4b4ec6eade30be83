<?php

declare(strict_types=1);

namespace Orosync\Tests\ContentTag;

use Orosync\ContentTag\SimpleTagGenerator;
use PHPUnit\Framework\TestCase;

final class SimpleTagGeneratorTest extends TestCase
{
    public function testATagConsistsOfNameAndParameters(): void
    {
        $tags = new SimpleTagGenerator();

        self::assertSame(['system_configuration_look_7'], $tags->generate(['name' => 'system_configuration', 'params' => ['look', 7]]));
        self::assertSame(['dashboard'], $tags->generate(['name' => 'dashboard']));
        self::assertSame(['dashboard_1'], $tags->generate(['name' => 'dashboard', 'params' => ['id' => 1]]));
    }

    public function testTheCollectionTagHasNoParameters(): void
    {
        self::assertSame(['menu_1', 'menu_type_collection'], (new SimpleTagGenerator())->generate(['name' => 'menu', 'params' => [1]], true));
    }

    public function testTagsOfChildrenGoOneLevelDeepWithoutCollectionTags(): void
    {
        $data = [
            'name' => 'menu',
            'params' => [1],
            'children' => [
                ['name' => 'item', 'params' => [2], 'children' => [['name' => 'icon']]],
                'no data',
                ['params' => [3]],
            ],
        ];

        self::assertSame(['menu_1', 'item_2', 'menu_type_collection'], (new SimpleTagGenerator())->generate($data, true, true));
        self::assertSame(['menu_1'], (new SimpleTagGenerator())->generate($data));
    }
}
