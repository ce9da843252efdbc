import {
  Link,
  sidebarConfig,
  useSidebarOpenState,
} from '@backstage/core-components';
import { makeStyles } from '@material-ui/core/styles';

const useStyles = makeStyles({
  root: {
    width: sidebarConfig.drawerWidthClosed,
    height: 3 * sidebarConfig.logoHeight,
    display: 'flex',
    alignItems: 'center',
    marginBottom: -14,
  },
  link: {
    display: 'flex',
    alignItems: 'center',
    gap: 12,
    marginLeft: 22,
    color: '#ffffff',
    fontWeight: 600,
    fontSize: 18,
    whiteSpace: 'nowrap',
    '&:hover': { textDecoration: 'none' },
  },
});

/** Three models on a path: the platform's sign, and its name while the sidebar is open. */
export const SidebarLogo = () => {
  const classes = useStyles();
  const { isOpen } = useSidebarOpenState();
  return (
    <div className={classes.root}>
      <Link to="/" underline="none" className={classes.link} aria-label="Home">
        <svg width="28" height="28" viewBox="0 0 28 28" aria-hidden="true">
          <path
            d="M4 22 L14 6 L24 22"
            fill="none"
            stroke="#7df3e1"
            strokeWidth="2.5"
          />
          <circle cx="4" cy="22" r="3.5" fill="#ffffff" />
          <circle cx="14" cy="6" r="3.5" fill="#7df3e1" />
          <circle cx="24" cy="22" r="3.5" fill="#ffffff" />
        </svg>
        {isOpen && <span>ML platform</span>}
      </Link>
    </div>
  );
};
