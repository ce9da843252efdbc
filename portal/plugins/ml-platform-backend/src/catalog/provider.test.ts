import { PlatformClient, PlatformError } from '../client';
import { located, PlatformEntityProvider } from './provider';

const entity = (name: string) => ({
  apiVersion: 'backstage.io/v1alpha1',
  kind: 'Component',
  metadata: { name, annotations: { own: 'kept' } },
});

const upsert = (name: string) => ({
  ref: `component:default/${name}`,
  change: 'upsert',
  entity: entity(name),
  source: null,
});

const gone = (name: string) => ({
  ref: `component:default/${name}`,
  change: 'delete',
  entity: null,
  source: null,
});

const logger = {
  info: jest.fn(),
  warn: jest.fn(),
  error: jest.fn(),
  debug: jest.fn(),
  child: jest.fn(),
};

async function provider(answers: (object | Error)[], start = 0) {
  const asked: string[] = [];
  const client = {
    json: async (path: string) => {
      asked.push(path);
      const next = answers.shift();
      if (next instanceof Error) {
        throw next;
      }
      return next;
    },
  } as unknown as PlatformClient;
  let cursor = start;
  const kept = {
    get: async () => cursor,
    set: async (value: number) => {
      cursor = value;
    },
  };
  const applyMutation = jest.fn(async () => {});
  const made = new PlatformEntityProvider(
    client,
    kept,
    { run: async () => {} },
    logger,
  );
  await made.connect({ applyMutation, refresh: async () => {} });
  return { made, asked, applyMutation, cursor: () => cursor };
}

describe('PlatformEntityProvider', () => {
  it('goes on from its cursor, page by page, with what is gone', async () => {
    const { made, asked, applyMutation, cursor } = await provider(
      [
        { items: [upsert('a'), gone('b')], cursor: 12, more: true },
        { items: [upsert('c')], cursor: 13, more: false },
      ],
      10,
    );
    await made.follow();
    expect(asked).toEqual([
      '/catalog/changes?after=10&limit=500',
      '/catalog/changes?after=12&limit=500',
    ]);
    expect(applyMutation).toHaveBeenNthCalledWith(1, {
      type: 'delta',
      added: [expect.objectContaining({ locationKey: 'ml-platform' })],
      removed: [
        { entityRef: 'component:default/b', locationKey: 'ml-platform' },
      ],
    });
    expect(cursor()).toBe(13);
  });

  it('changes nothing while there is nothing new', async () => {
    const { made, applyMutation, cursor } = await provider(
      [{ items: [], cursor: 10, more: false }],
      10,
    );
    await made.follow();
    expect(applyMutation).not.toHaveBeenCalled();
    expect(cursor()).toBe(10);
  });

  it('keeps its cursor when a page can not be applied', async () => {
    const { made, applyMutation, cursor } = await provider([
      { items: [upsert('a')], cursor: 1, more: false },
    ]);
    applyMutation.mockRejectedValueOnce(new Error('the database is busy'));
    await expect(made.follow()).rejects.toThrow('busy');
    expect(cursor()).toBe(0);
  });

  it('says once that the platform is down, and asks again', async () => {
    logger.warn.mockClear();
    const down = new PlatformError(0, 'the ML platform does not answer');
    const { made, cursor } = await provider([
      down,
      down,
      { items: [upsert('a')], cursor: 1, more: false },
    ]);
    await made.follow();
    await made.follow();
    expect(logger.warn).toHaveBeenCalledTimes(1);
    await made.follow();
    expect(cursor()).toBe(1);
    expect(logger.warn).toHaveBeenLastCalledWith(
      'the ML platform answers again',
    );
  });
});

describe('located', () => {
  it('says where an entity is from and keeps its own annotations', () => {
    const source = {
      host: 'local',
      org: 'models',
      repository: 'churn',
      path: 'catalog-info.yaml',
      url: 'http://platform/git/local/models/churn/files/catalog-info.yaml',
    };
    const { annotations } = located(entity('churn'), source).metadata;
    expect(annotations).toEqual({
      own: 'kept',
      'backstage.io/managed-by-location': `url:${source.url}`,
      'backstage.io/managed-by-origin-location': `url:${source.url}`,
      'backstage.io/view-url': source.url,
      'ml-platform/repository': 'local/models/churn',
    });
  });

  it('gives a location to what the platform knows by itself', () => {
    const { annotations } = located(entity('risk'), null).metadata;
    expect(annotations?.['backstage.io/managed-by-location']).toMatch(/^url:/);
  });
});
