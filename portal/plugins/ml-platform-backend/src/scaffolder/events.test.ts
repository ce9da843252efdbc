import { PlatformClient, PlatformError } from '../client';
import { follow } from './events';

jest.useFakeTimers({ advanceTimers: true });

const credentials = {} as never;

function answering(...answers: (string | Error)[]) {
  const seen: (string | undefined)[] = [];
  const client = {
    call: async (
      _path: string,
      _credentials: unknown,
      { headers = {} }: { headers?: Record<string, string> },
    ) => {
      seen.push(headers['last-event-id']);
      const next = answers.shift();
      if (next instanceof Error) {
        throw next;
      }
      return new Response(next);
    },
  } as unknown as PlatformClient;
  return { client, seen };
}

async function all(client: PlatformClient) {
  const found: (string | undefined)[] = [];
  for await (const event of follow(client, '/events', credentials)) {
    found.push(`${event.event} ${event.data}`);
  }
  return found;
}

describe('follow', () => {
  it('yields events until the end', async () => {
    const { client } = answering(
      'event: progress\nid: 1\ndata: a\n\n: still here\n\nevent: end\nid: 1\ndata: b\n\n',
    );
    expect(await all(client)).toEqual(['progress a', 'end b']);
  });

  it('goes on after the last event when the connection is lost', async () => {
    const { client, seen } = answering(
      'event: progress\nid: 7\ndata: a\n\n',
      new PlatformError(503, 'starting'),
      'event: end\ndata: b\n\n',
    );
    expect(await all(client)).toEqual(['progress a', 'end b']);
    expect(seen).toEqual([undefined, '7', '7']);
  });

  it('does not try again where it was refused', async () => {
    const { client, seen } = answering(new PlatformError(403, 'may not'));
    await expect(all(client)).rejects.toThrow('may not');
    expect(seen).toHaveLength(1);
  });
});
