<?php

declare(strict_types=1);

namespace Demo\Import;

use Demo\Company\CompanyDraft;
use Demo\Contact\ContactDraft;

/**
 * The imported rows, in place of a file: departments of companies, generated and the same on every machine.
 *
 * Addresses end in .example, and telephone numbers are from the block reserved for fiction.
 */
final class SampleRows
{
    public const TOTAL = 1000;

    private const MATERIALS = [
        'Amber', 'Basalt', 'Cedar', 'Cobalt', 'Copper', 'Cork', 'Flint', 'Granite', 'Indigo', 'Ivory',
        'Larch', 'Linen', 'Maple', 'Marble', 'Nickel', 'Ochre', 'Onyx', 'Quartz', 'Silver', 'Walnut',
    ];
    private const TRADES = [
        'Bearings', 'Cables', 'Castings', 'Clocks', 'Fittings', 'Gears', 'Looms', 'Optics', 'Pumps', 'Valves',
    ];
    private const CITIES = ['Antwerp', 'Bergen', 'Dresden', 'Ghent', 'Graz', 'Leeds', 'Lyon', 'Porto', 'Turin', 'Utrecht'];
    private const DEPARTMENTS = ['Accounts', 'Front desk', 'Purchasing', 'Service', 'Workshop'];

    /**
     * @return iterable<int, array{CompanyDraft, ContactDraft}> by row number, from 1; the handler looks up the contact's
     *   company
     */
    public function read(): iterable
    {
        $number = 0;
        foreach (self::MATERIALS as $material) {
            foreach (self::TRADES as $index => $trade) {
                $company = new CompanyDraft();
                $company->name = "$material $trade";
                $company->city = self::CITIES[$index];
                foreach (self::DEPARTMENTS as $department) {
                    $contact = new ContactDraft();
                    $contact->name = "$company->name, $department";
                    $contact->email = strtolower(sprintf('%s@%s-%s.example', strtr($department, ' ', '-'), $material, $trade));
                    $contact->phone = sprintf('+44 20 7946 0%03d', $number);
                    yield ++$number => [$company, $contact];
                }
            }
        }
    }
}
