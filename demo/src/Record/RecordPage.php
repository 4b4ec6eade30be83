<?php

declare(strict_types=1);

namespace Demo\Record;

use Doctrine\ORM\QueryBuilder;
use Doctrine\ORM\Tools\Pagination\Paginator;
use Symfony\Component\HttpFoundation\Request;

/** One page of a list or of search results, with 25 records. */
final class RecordPage
{
    private const SIZE = 25;

    /** @param list<object> $records */
    private function __construct(
        public readonly array $records,
        public readonly int $total,
        public readonly int $number,
        public readonly int $count,
        public readonly string $search,
    ) {
    }

    /**
     * @param QueryBuilder $query with the alias `record`, whose entities have a name; `q` and `page` are parameters of the
     *   request
     */
    public static function of(QueryBuilder $query, Request $request): self
    {
        $search = trim($request->query->get('q', ''));
        if ($search !== '') {
            $query->andWhere('LOWER(record.name) LIKE :search')
                ->setParameter('search', '%' . addcslashes(mb_strtolower($search), '%_') . '%');
        }
        $total = \count(new Paginator($query));
        $count = max(1, (int) ceil($total / self::SIZE));
        $number = min($count, max(1, $request->query->getInt('page', 1)));
        $query->orderBy('record.name')->addOrderBy('record.id')
            ->setFirstResult(($number - 1) * self::SIZE)->setMaxResults(self::SIZE);

        return new self(iterator_to_array(new Paginator($query), false), $total, $number, $count, $search);
    }
}
