import { PlatformClient, Problem } from './client';

const discovery = { getBaseUrl: async () => 'http://platform' };
const identity = {
  getCredentials: async () => ({ token: 'secret' }),
} as never;

function answers(...given: Response[]) {
  const fetched = jest.fn(async (..._: unknown[]) => given.shift());
  global.fetch = fetched as never;
  return fetched;
}

const json = (body: unknown, init: ResponseInit = {}) =>
  new Response(JSON.stringify(body), init);

describe('PlatformClient', () => {
  const client = () => new PlatformClient(discovery, identity);

  it("asks with the user's token, and again with the ETag", async () => {
    const fetched = answers(
      json({ items: [1] }, { headers: { etag: '"a"' } }),
      new Response(null, { status: 304 }),
    );
    const platform = client();
    const first = await platform.get('/models');
    expect(await platform.get('/models')).toBe(first);
    expect(fetched).toHaveBeenLastCalledWith(
      'http://platform/models',
      expect.objectContaining({
        headers: { authorization: 'Bearer secret', 'if-none-match': '"a"' },
      }),
    );
  });

  it('turns a problem into cause and fix', async () => {
    answers(json({ detail: 'no', fix: 'do this' }, { status: 403 }));
    await expect(client().get('/x')).rejects.toMatchObject({
      status: 403,
      detail: 'no',
      fix: 'do this',
      passing: false,
    });
  });

  it('says that nobody answers, which may pass', async () => {
    answers().mockRejectedValue(new TypeError('Failed to fetch'));
    const asked = client().get('/x');
    await expect(asked).rejects.toBeInstanceOf(Problem);
    await expect(asked).rejects.toMatchObject({ status: 0, passing: true });
  });

  it('tells a session that has ended from a Backstage that does not answer', async () => {
    const refusing = (error: Error) =>
      new PlatformClient(discovery, {
        getCredentials: async () => Promise.reject(error),
      } as never).get('/x');
    await expect(refusing(new Error('sign in'))).rejects.toMatchObject({
      status: 401,
      passing: false,
    });
    const down = Object.assign(new Error('down'), {
      name: 'ServiceUnavailableError',
    });
    for (const error of [down, new TypeError('Failed to fetch')]) {
      await expect(refusing(error)).rejects.toMatchObject({
        status: 0,
        passing: true,
      });
    }
  });

  it('bears an answer that is no JSON', async () => {
    answers(new Response('<html>', { status: 502, statusText: 'Bad Gateway' }));
    await expect(client().get('/x')).rejects.toMatchObject({
      detail: 'The ML platform answered 502 Bad Gateway.',
    });
  });

  it('sends a key with a change, so that twice is once', async () => {
    const fetched = answers(json({}));
    await client().post('/x', { a: 1 }, 'key');
    expect(fetched).toHaveBeenCalledWith(
      'http://platform/x',
      expect.objectContaining({
        method: 'POST',
        body: '{"a":1}',
        headers: expect.objectContaining({ 'idempotency-key': 'key' }),
      }),
    );
  });
});
