import { BackstageCredentials } from '@backstage/backend-plugin-api';
import { EventSourceMessage } from 'eventsource-parser';
import { EventSourceParserStream } from 'eventsource-parser/stream';

import { PlatformClient, PlatformError } from '../client';

const PATIENCE = 10;
const PAUSE_MILLISECONDS = 1000;

/**
 * Follows a stream of server-sent events until one named `end`; goes on after the last one seen when the connection is lost.
 *
 * @throws {@link PlatformError} the platform refused, or did not answer ten times in a row.
 */
export async function* follow(
  client: PlatformClient,
  path: string,
  credentials: BackstageCredentials,
  signal?: AbortSignal,
): AsyncGenerator<EventSourceMessage> {
  let last: string | undefined;
  let failures = 0;
  while (!signal?.aborted) {
    try {
      const answer = await client.call(path, credentials, {
        headers: {
          accept: 'text/event-stream',
          ...(last ? { 'last-event-id': last } : {}),
        },
        signal,
      });
      for await (const event of parse(answer)) {
        failures = 0;
        last = event.id ?? last;
        yield event;
        if (event.event === 'end') {
          return;
        }
      }
    } catch (error) {
      const lost =
        !(error instanceof PlatformError) ||
        error.status === 0 ||
        error.status >= 500;
      failures += 1;
      if (!lost || failures >= PATIENCE || signal?.aborted) {
        throw error;
      }
    }
    await new Promise(resolve => setTimeout(resolve, PAUSE_MILLISECONDS));
  }
}

async function* parse(answer: Response): AsyncGenerator<EventSourceMessage> {
  if (!answer.body) {
    return;
  }
  const text = answer.body.pipeThrough(
    new TextDecoderStream() as TransformStream<Uint8Array, string>,
  );
  const events = text.pipeThrough(new EventSourceParserStream());
  yield* events as unknown as AsyncIterable<EventSourceMessage>;
}
