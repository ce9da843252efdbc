import { sentences, words } from './components/State';
import { ago, lasting } from './components/Time';
import { entityPath, isModel, modelOf, placeOf, shortRef } from './model';

const entity = (annotations = {}, type = 'model-server') => ({
  apiVersion: 'backstage.io/v1alpha1',
  kind: 'Component',
  metadata: { name: 'churn', annotations },
  spec: { type },
});

describe('what an entity says about a model', () => {
  it('is a model by its type, or by its annotation', () => {
    expect(isModel(entity())).toBe(true);
    expect(isModel(entity({}, 'website'))).toBe(false);
    expect(isModel(entity({ 'ml-platform/model': 'x' }, 'website'))).toBe(true);
  });

  it('is called as the annotation says, or else as the entity', () => {
    expect(modelOf(entity())).toBe('churn');
    expect(modelOf(entity({ 'ml-platform/model': 'other' }))).toBe('other');
  });

  it('has its repository in groups in groups', () => {
    const at = (value: string) =>
      placeOf(entity({ 'ml-platform/repository': value }));
    expect(at('gitlab/acme/ml/churn')).toEqual({
      host: 'gitlab',
      org: 'acme/ml',
      name: 'churn',
    });
    expect(at('churn')).toBeNull();
    expect(placeOf(entity())).toBeNull();
  });
});

describe('words', () => {
  it.each([
    ['group:default/risk', 'risk'],
    ['group:acme/risk', 'acme/risk'],
    ['', ''],
  ])('shortens %s', (ref, short) => expect(shortRef(ref)).toBe(short));

  it('finds the page of an entity', () => {
    expect(entityPath('component:default/churn')).toBe(
      '/catalog/default/component/churn',
    );
  });

  it('reads identifiers and sentences', () => {
    expect(words('awaiting_approval')).toBe('awaiting approval');
    expect(words('gate:schema')).toBe('schema gate');
    expect(sentences('may not', null, 'Members may.')).toBe(
      'may not. Members may.',
    );
  });

  it('says how long ago, and how long', () => {
    const now = Date.parse('2026-01-01T12:00:00Z');
    expect(ago('2026-01-01T11:00:00Z', now)).toBe('1 hour ago');
    expect(ago('2026-01-01T11:59:59.900Z', now)).toBe('now');
    expect([lasting(89), lasting(600), lasting(7200)]).toEqual([
      '89 s',
      '10 min',
      '2.0 h',
    ]);
  });
});
