/**
 * The ML platform's pages in Backstage.
 *
 * @packageDocumentation
 */
export { default } from './plugin';
