# shellcheck shell=bash disable=SC2034,SC2154
kind='server and client, starts helpers'
packages=(openssh-client openssh-server)
entries=(/usr/sbin/sshd sftp ssh ssh-keygen)
check() {
  run ssh-keygen -q -t ed25519 -N '' -f host
  run ssh-keygen -q -t rsa -b 2048 -N '' -f mine
  local port
  port=$(free_port)
  cat >sshd_config <<END
ListenAddress 127.0.0.1:$port
HostKey $PWD/host
AuthorizedKeysFile $PWD/mine.pub
StrictModes no
UsePAM no
PidFile $PWD/pid
Subsystem sftp internal-sftp
END
  echo "[127.0.0.1]:$port $(cut -d' ' -f1,2 host.pub)" >known
  run sshd -D -E "$PWD/sshd.log" -f "$PWD/sshd_config" &
  until_there pid
  echo 'sent there' >file
  echo "put file $PWD/copy" |
    run sftp -q -F none -i mine -o UserKnownHostsFile="$PWD/known" -o IdentitiesOnly=yes -P "$port" -b - "$(id -un)@127.0.0.1" >sftp.log
  cat copy
  run ssh-keygen -Y sign -q -f mine -n file file
  echo "me $(cat mine.pub)" >signers
  # shellcheck disable=SC2094
  run ssh-keygen -Y verify -f signers -I me -n file -s file.sig <file | cut -d' ' -f1
}
expected() {
  printf '%s\n' 'sent there' Good
}
