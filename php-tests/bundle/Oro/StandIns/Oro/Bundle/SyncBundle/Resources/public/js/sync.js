// Replaces Oro's own file: OroSyncBundle of 5.0 to 7.0 publishes Resources/public/js, and Oro's webpack reads orosync/js/... in
// public/bundles.
export const own = 'OroSyncBundle';
