/** Keeps a scrolled region at its end while new content comes, until the person scrolls up. */
import { type RefObject, useEffect, useRef, useState } from 'react';

const NEAR_END_PX = 48;

interface Follow {
  ref: RefObject<HTMLDivElement | null>;
  following: boolean;
  toEnd: () => void;
  onScroll: () => void;
}

/** `content` is what grows; the region follows after each change of it. */
export function useFollow(content: readonly unknown[]): Follow {
  const ref = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);
  const lastTop = useRef(0);

  const toEnd = () => {
    const region = ref.current;
    if (region) region.scrollTop = region.scrollHeight;
    setFollowing(true);
  };
  const onScroll = () => {
    const region = ref.current;
    if (!region) return;
    const distance = region.scrollHeight - region.clientHeight - region.scrollTop;
    // Only an upward movement is a person's; content that grows moves the end away, not the top up.
    if (region.scrollTop < lastTop.current && distance > NEAR_END_PX) setFollowing(false);
    else if (distance <= NEAR_END_PX) setFollowing(true);
    lastTop.current = region.scrollTop;
  };
  useEffect(() => {
    if (!following) return;
    const frame = requestAnimationFrame(() => {
      const region = ref.current;
      if (region) region.scrollTop = region.scrollHeight;
    });
    return () => cancelAnimationFrame(frame);
  }, [...content, following]);
  // Cards that open, code that is coloured and panels that resize change the height without new content.
  useEffect(() => {
    const region = ref.current;
    if (!region || !following) return;
    const observer = new ResizeObserver(() => {
      region.scrollTop = region.scrollHeight;
    });
    observer.observe(region);
    if (region.firstElementChild) observer.observe(region.firstElementChild);
    return () => observer.disconnect();
  }, [following]);
  return { ref, following, toEnd, onScroll };
}
