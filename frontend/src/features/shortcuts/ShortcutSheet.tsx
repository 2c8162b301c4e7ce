import Button from '@mui/material/Button';
import Dialog from '@mui/material/Dialog';
import DialogActions from '@mui/material/DialogActions';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import styles from './ShortcutSheet.module.css';

const groups: [string, [string[], string][]][] = [
  [
    'Everywhere',
    [
      [['N'], 'New workspace'],
      [['/', 'Ctrl K'], 'Find'],
      [['?'], 'These shortcuts'],
      [['Esc'], 'Leave the field, close the dialog'],
    ],
  ],
  [
    'In the list',
    [
      [['J', '↓'], 'Next workspace'],
      [['K', '↑'], 'Workspace before'],
      [['Enter'], 'Open'],
      [['S'], 'Start or stop'],
      [['L'], 'Logs'],
      [['E'], 'Edit'],
    ],
  ],
];

export function ShortcutSheet({ onClose }: { onClose: () => void }) {
  return (
    <Dialog open onClose={onClose} fullWidth maxWidth="xs">
      <DialogTitle>Keyboard shortcuts</DialogTitle>
      <DialogContent>
        {groups.map(([title, shortcuts]) => (
          <section key={title} className={styles.group}>
            <h3>{title}</h3>
            <dl className={styles.list}>
              {shortcuts.map(([keys, what]) => (
                <div key={what} className={styles.line}>
                  <dt>{what}</dt>
                  <dd>
                    {keys.map((key) => (
                      <kbd key={key} className="key">
                        {key}
                      </kbd>
                    ))}
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </DialogContent>
      <DialogActions>
        <Button onClick={onClose}>Close</Button>
      </DialogActions>
    </Dialog>
  );
}
