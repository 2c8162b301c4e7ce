import Button from '@mui/material/Button';
import TextField from '@mui/material/TextField';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { queries } from '../../api/cache';
import { errorOf } from '../../api/client';
import { useClient } from '../../api/context';
import { Ago } from '../../components/Time';
import { sortedSettings } from '../../model/admin';
import styles from './Admin.module.css';
import { Table } from './Table';

/** What is in force, and who said so. Defaults are shown to who asks. */
export function Configuration() {
  const client = useClient();
  const { data: settings = [], isError, error } = useQuery(queries.adminConfig(client));
  const { data: host } = useQuery(queries.host(client));
  const [filter, setFilter] = useState('');
  const [all, setAll] = useState(false);
  const changed = host?.config.changes.map((change) => change.key) ?? [];
  const found = sortedSettings(settings, filter, changed);
  const shown = all || filter.trim() !== '' ? found : found.filter((setting) => setting.origin !== 'default' || changed.includes(setting.key));
  return (
    <section aria-labelledby="admin-config">
      <div className={styles.head}>
        <h2 id="admin-config">Configuration in force</h2>
        <TextField
          type="search"
          placeholder="Key, value, origin …"
          value={filter}
          onChange={(event) => setFilter(event.target.value)}
          slotProps={{ htmlInput: { 'aria-label': 'Filter settings' } }}
        />
      </div>
      <p className="small dim">
        {host?.config.file === '' || host === undefined ? 'There is no file: these are defaults and environment variables.' : <code className="mono">{host.config.file}</code>}
        {host !== undefined && host.config.loaded_at !== null && (
          <>
            , read <Ago time={host.config.loaded_at} />
          </>
        )}
      </p>
      {isError && <p>{errorOf(error).message}</p>}
      {shown.length > 0 && (
        <Table titleId="admin-config" columns={['Key', 'Value', 'Origin']}>
          {shown.map((setting) => (
            <tr key={setting.key}>
              <th scope="row">
                <code className="mono">{setting.key}</code> {changed.includes(setting.key) && <span className="small dim">changed</span>}
              </th>
              <td data-label="Value">
                <code className="mono">{setting.value}</code>
              </td>
              <td data-label="Origin" className={setting.origin === 'default' ? 'dim' : undefined}>{setting.origin}</td>
            </tr>
          ))}
        </Table>
      )}
      {shown.length === 0 && !isError && <p className="dim">{filter.trim() === '' ? 'Everything is as it is by default.' : 'Nothing matches.'}</p>}
      {filter.trim() === '' && settings.length > 0 && (
        <Button variant="text" onClick={() => setAll(!all)}>
          {all ? 'Hide defaults' : `Show all ${settings.length}`}
        </Button>
      )}
    </section>
  );
}
