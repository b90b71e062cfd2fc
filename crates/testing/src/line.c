/* A slow and lossy line between two network interfaces, in user space: kernels without `netem` have none of their own. Every frame that
 * comes in at one end goes out at the other after a while, or never.
 *
 *     line plain INTERFACE            no frames but whole ones leave it: checksums and segments are made here
 *     line between ONE OTHER
 *
 * The second form reads lines from its standard input, each with milliseconds and a percentage: how much later frames go out from then
 * on, and how many of a hundred never do. It answers each by "ready", and ends when its input does. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Frames under way in one direction; more are lost, as in a router whose memory is full. */
#define UNDER_WAY 8192
#define LONGEST 1600

struct frame {
    uint64_t due;
    int length;
    unsigned char bytes[LONGEST];
};

struct way {
    struct frame *frames;
    unsigned first, count;
    int from, to;
};

static uint64_t delay, random_state = 0x9E3779B97F4A7C15u;
static unsigned percent;

static void no(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_nsec / 1000u;
}

/* xorshift64: chance that is the same in every run, as far as the order of frames is. */
static int is_lost(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % 100 < percent;
}

/* What the line is like from now on; false when there is nobody any more to say so. */
static int is_told(void) {
    static char text[256];
    static size_t length;
    ssize_t more = read(0, text + length, sizeof text - 1 - length);
    if (more <= 0) return more < 0 && errno == EINTR;
    length += (size_t)more;
    text[length] = 0;
    for (char *end; (end = strchr(text, '\n')); length = strlen(text)) {
        unsigned long long milliseconds;
        if (sscanf(text, "%llu %u", &milliseconds, &percent) != 2) return 0;
        delay = milliseconds * 1000u;
        memmove(text, end + 1, strlen(end + 1) + 1);
        puts("ready");
        fflush(stdout);
    }
    return length < sizeof text - 1;
}

static int plain(const char *name) {
    const unsigned off[] = {ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO};
    int socket_of = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (unsigned at = 0; at < sizeof off / sizeof *off; at++) {
        struct ethtool_value value = {.cmd = off[at], .data = 0};
        struct ifreq request = {0};
        strncpy(request.ifr_name, name, IFNAMSIZ - 1);
        request.ifr_data = (void *)&value;
        /* What it cannot do it does not do. */
        if (ioctl(socket_of, SIOCETHTOOL, &request) && errno != EOPNOTSUPP) no(name);
    }
    return 0;
}

static int end_at(const char *name) {
    int end = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    address.sll_ifindex = (int)if_nametoindex(name);
    if (end < 0 || !address.sll_ifindex || bind(end, (struct sockaddr *)&address, sizeof address)) no(name);
    /* Not what we ourselves send. */
    int yes = 1, room = 8 << 20;
    if (setsockopt(end, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof yes)) no("PACKET_IGNORE_OUTGOING");
    setsockopt(end, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    return end;
}

static void take_in(struct way *way) {
    unsigned char bytes[LONGEST];
    for (;;) {
        ssize_t length = recv(way->from, bytes, sizeof bytes, MSG_TRUNC);
        if (length < 0) {
            if (errno == EAGAIN || errno == EINTR || errno == ENETDOWN) return;
            no("recv");
        }
        /* A frame that was put together of several would be cut: see `plain`. */
        if (length > LONGEST || way->count == UNDER_WAY || is_lost()) continue;
        struct frame *frame = &way->frames[(way->first + way->count++) % UNDER_WAY];
        frame->due = now() + delay;
        frame->length = (int)length;
        memcpy(frame->bytes, bytes, (size_t)length);
    }
}

static void let_out(struct way *way) {
    for (; way->count; way->first = (way->first + 1) % UNDER_WAY, way->count--) {
        struct frame *frame = &way->frames[way->first];
        if (frame->due > now()) return;
        /* Whom there is no room for is lost, too. */
        send(way->to, frame->bytes, (size_t)frame->length, 0);
    }
}

int main(int count, char **words) {
    if (count == 3 && !strcmp(words[1], "plain")) return plain(words[2]);
    if (count != 4 || strcmp(words[1], "between")) return 2;
    int one = end_at(words[2]), other = end_at(words[3]);
    struct way ways[2] = {{.from = one, .to = other}, {.from = other, .to = one}};
    for (int at = 0; at < 2; at++) {
        ways[at].frames = calloc(UNDER_WAY, sizeof(struct frame));
        if (!ways[at].frames) no("memory");
    }
    for (;;) {
        uint64_t due = UINT64_MAX;
        for (int at = 0; at < 2; at++) {
            if (ways[at].count && ways[at].frames[ways[at].first].due < due) due = ways[at].frames[ways[at].first].due;
        }
        uint64_t time = now(), wait = due > time ? due - time : 0;
        struct timespec until = {.tv_sec = (time_t)(wait / 1000000u), .tv_nsec = (long)(wait % 1000000u) * 1000};
        struct pollfd ends[3] = {{one, POLLIN, 0}, {other, POLLIN, 0}, {0, POLLIN, 0}};
        if (ppoll(ends, 3, due == UINT64_MAX ? NULL : &until, NULL) < 0 && errno != EINTR) no("poll");
        if (ends[2].revents && !is_told()) return 0;
        for (int at = 0; at < 2; at++) take_in(&ways[at]);
        for (int at = 0; at < 2; at++) let_out(&ways[at]);
    }
}
