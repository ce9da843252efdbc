import { discoveryApiRef, useApi } from '@backstage/core-plugin-api';
import { SignInPageProps } from '@backstage/plugin-app-react';
import {
  Alert,
  Button,
  Card,
  CardBody,
  CardHeader,
  Flex,
  PasswordField,
  Text,
  TextField,
} from '@backstage/ui';
import { FormEvent, useCallback, useEffect, useState } from 'react';
import { PlatformIdentity, tokenFor } from './identity';
import { announceToken, storedToken, storeToken } from './session';

/** Signs in by a link of `platform portal`, or by name and the platform's sign-in secret. */
export const SignInPage = ({ onSignInSuccess }: SignInPageProps) => {
  const discovery = useApi(discoveryApiRef);
  const [token] = useState(storedToken);
  const [busy, setBusy] = useState(Boolean(token));
  const [user, setUser] = useState('user:default/');
  const [secret, setSecret] = useState('');
  const [failure, setFailure] = useState<string>();

  const signIn = useCallback(
    async (get: () => Promise<string>) => {
      setBusy(true);
      setFailure(undefined);
      try {
        const found = await get();
        const identity = new PlatformIdentity(found, discovery);
        await identity.current();
        storeToken(found);
        announceToken(found);
        onSignInSuccess(identity);
      } catch (error) {
        setFailure(error instanceof Error ? error.message : String(error));
        setBusy(false);
      }
    },
    [discovery, onSignInSuccess],
  );

  useEffect(() => {
    if (token) {
      void signIn(async () => token);
    }
  }, [signIn, token]);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    void signIn(() => tokenFor(user.trim(), secret.trim(), discovery));
  };

  return (
    <Flex
      direction="column"
      align="center"
      justify="center"
      style={{ minHeight: '100vh', padding: 16 }}
    >
      <Card style={{ width: '100%', maxWidth: 440 }}>
        <CardHeader>
          <Text as="h1" variant="title-medium">
            ML platform
          </Text>
        </CardHeader>
        <CardBody>
          <form onSubmit={submit} aria-label="Sign in">
            <Flex direction="column" gap="4">
              <Text>
                Run <code>platform portal</code> and open its link, or sign in
                with the secret that the platform keeps for you.
              </Text>
              {failure && (
                <Alert role="alert" status="danger" icon title={failure} />
              )}
              <TextField
                label="User"
                description="An entity ref, such as user:default/ada"
                value={user}
                onChange={setUser}
                isRequired
              />
              <PasswordField
                label="Sign-in secret"
                description="The content of identity/login-secret in the platform's home"
                value={secret}
                onChange={setSecret}
                isRequired
              />
              <Button type="submit" isPending={busy} isDisabled={busy}>
                Sign in
              </Button>
            </Flex>
          </form>
        </CardBody>
      </Card>
    </Flex>
  );
};
