// The look: the only colours, sizes and motions in use. Style sheets reach the colours as var(--lab-palette-<name>).
import { createTheme } from '@mui/material/styles';

export const light = {
  paper: '#FBFAF8', surface: '#FFFFFF', raised: '#F4F2EE', line: '#E4E0D9',
  ink: '#1C1B1A', ink2: '#5C5852', ink3: '#736E66',
  accent: '#0F6B66', accentInk: '#FFFFFF', accentSoft: '#DCEEEC',
  run: '#1A7F43', busy: '#1F5FBF', warn: '#9A5B00', fail: '#B3261E', off: '#77726A',
  warnSoft: '#FBEFD9', failSoft: '#FBE4E1', busySoft: '#E2ECFA',
  track: '#EDEAE4', use: '#0B5A55', held: '#528F8A', overlay: '0 12px 40px rgba(30,25,15,.16)',
};

export const dark: typeof light = {
  paper: '#141516', surface: '#1B1D1F', raised: '#232629', line: '#2E3236',
  ink: '#ECEAE6', ink2: '#AAA69F', ink3: '#918D86',
  accent: '#4FB8AE', accentInk: '#0B1F1D', accentSoft: '#173633',
  run: '#5CC98A', busy: '#7FB0F5', warn: '#E5B15C', fail: '#F2877C', off: '#8D8981',
  warnSoft: '#33280F', failSoft: '#3A1B18', busySoft: '#17263D',
  track: '#2C3034', use: '#66D3C8', held: '#37867E', overlay: '0 12px 40px rgba(0,0,0,.5)',
};

type Tokens = typeof light;

declare module '@mui/material/styles' {
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type -- adding to MUI's interface is how it is extended
  interface Palette extends Tokens {}
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type -- as above
  interface PaletteOptions extends Partial<Tokens> {}
}

function palette(tokens: Tokens) {
  return {
    ...tokens,
    primary: { main: tokens.accent, dark: tokens.accent, light: tokens.accent, contrastText: tokens.accentInk },
    error: { main: tokens.fail, contrastText: tokens.surface },
    warning: { main: tokens.warn },
    info: { main: tokens.busy },
    success: { main: tokens.run },
    background: { default: tokens.paper, paper: tokens.surface },
    text: { primary: tokens.ink, secondary: tokens.ink2, disabled: tokens.ink3 },
    divider: tokens.line,
  };
}

export const fontFamily = '"Inter Variable", Inter, system-ui, sans-serif';
export const monoFamily = '"JetBrains Mono", ui-monospace, monospace';

const hairline = '1px solid var(--lab-palette-line)';

export const theme = createTheme({
  cssVariables: { cssVarPrefix: 'lab', colorSchemeSelector: 'data-theme' },
  colorSchemes: { light: { palette: palette(light) }, dark: { palette: palette(dark) } },
  shape: { borderRadius: 8 },
  spacing: 4,
  typography: {
    fontFamily,
    htmlFontSize: 16,
    fontSize: 14,
    body1: { fontSize: 14, lineHeight: '20px' },
    body2: { fontSize: 12.5, lineHeight: '18px' },
    h1: { fontSize: 20, lineHeight: '28px', fontWeight: 650, letterSpacing: '-0.01em' },
    h2: { fontSize: 15, lineHeight: '20px', fontWeight: 650 },
    button: { fontSize: 13.5, lineHeight: '20px', fontWeight: 600, textTransform: 'none' },
  },
  transitions: { duration: { shortest: 150, shorter: 150, short: 150, standard: 150, complex: 150, enteringScreen: 150, leavingScreen: 150 } },
  components: {
    MuiButtonBase: { defaultProps: { disableRipple: true } },
    MuiButton: {
      defaultProps: { disableElevation: true, color: 'inherit', variant: 'outlined' },
      styleOverrides: {
        root: { height: 34, padding: '0 14px', gap: 8, whiteSpace: 'nowrap', minWidth: 0, flex: 'none' },
        outlined: { border: hairline, background: 'var(--lab-palette-surface)', '&:hover': { background: 'var(--lab-palette-raised)' } },
        text: { color: 'var(--lab-palette-ink2)', '&:hover': { background: 'var(--lab-palette-raised)' } },
      },
    },
    MuiIconButton: { styleOverrides: { root: { width: 34, height: 34, borderRadius: 8, fontSize: 18, color: 'var(--lab-palette-ink2)' } } },
    MuiOutlinedInput: {
      styleOverrides: {
        root: { background: 'var(--lab-palette-surface)' },
        input: { height: 20, padding: '9px 12px' },
        notchedOutline: { borderColor: 'var(--lab-palette-line)' },
      },
    },
    MuiFormHelperText: { styleOverrides: { root: { marginLeft: 0 } } },
    MuiPaper: { defaultProps: { elevation: 0 }, styleOverrides: { root: { backgroundImage: 'none' } } },
    MuiMenu: { styleOverrides: { paper: { border: hairline, borderRadius: 12, boxShadow: 'var(--lab-palette-overlay)', minWidth: 200 } } },
    MuiPopover: { styleOverrides: { paper: { border: hairline, borderRadius: 12, boxShadow: 'var(--lab-palette-overlay)' } } },
    MuiMenuItem: { styleOverrides: { root: { fontSize: 14, minHeight: 36, '@media (min-width:600px)': { minHeight: 36 } } } },
    MuiDialog: { styleOverrides: { paper: { border: hairline, borderRadius: 12, boxShadow: 'var(--lab-palette-overlay)', margin: 16 } } },
    MuiDialogTitle: { styleOverrides: { root: { fontSize: 15, lineHeight: '20px', fontWeight: 650, padding: '20px 24px 8px' } } },
    MuiDialogContent: { styleOverrides: { root: { padding: '8px 24px' } } },
    MuiDialogActions: { styleOverrides: { root: { padding: '16px 24px 20px', gap: 8, '& > :not(style) ~ :not(style)': { marginLeft: 0 } } } },
    MuiSnackbarContent: {
      styleOverrides: { root: { background: 'var(--lab-palette-ink)', color: 'var(--lab-palette-paper)', borderRadius: 12, fontSize: 14, boxShadow: 'var(--lab-palette-overlay)' } },
    },
    MuiTabs: { styleOverrides: { root: { minHeight: 40, borderBottom: hairline }, indicator: { height: 2 } } },
    MuiTab: {
      styleOverrides: { root: { minHeight: 40, minWidth: 0, padding: '10px 0', marginRight: 24, fontSize: 14, fontWeight: 550, textTransform: 'none', color: 'var(--lab-palette-ink2)', '&.Mui-focusVisible': { outlineOffset: -3 }, '&.Mui-selected': { color: 'var(--lab-palette-ink)' } } },
    },
    MuiTooltip: { defaultProps: { enterDelay: 400 }, styleOverrides: { tooltip: { background: 'var(--lab-palette-ink)', color: 'var(--lab-palette-paper)', fontSize: 12.5, fontWeight: 450, borderRadius: 8, maxWidth: 320 } } },
    MuiSkeleton: { defaultProps: { animation: false }, styleOverrides: { root: { background: 'var(--lab-palette-track)' } } },
  },
});
