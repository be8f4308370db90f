# Makes a clone a machine of its own: reads {"hostname","machine_id","user","time","seed"} on standard input, as
# /usr/lib/usher/identity of Linux guests does. Ends with 0 when all is done; else with 1 and a line for each failure. A new
# computer name is in force after the next restart. It was never run: see README.md.
$ErrorActionPreference = 'Stop'
$failures = @()

function Stop-With([string] $Text) {
  [Console]::Error.WriteLine("identity: standard input: $Text")
  exit 1
}

function Try-To([string] $What, [scriptblock] $Do) {
  try { & $Do } catch { $script:failures += "identity: ${What}: $($_.Exception.Message)" }
}

try { $told = [Console]::In.ReadToEnd() | ConvertFrom-Json } catch { Stop-With 'not a JSON object' }
foreach ($member in 'hostname', 'machine_id', 'user', 'time', 'seed') {
  if ($null -eq $told.$member) { Stop-With "${member}: is missing" }
}
# NetBIOS takes 15 characters; a longer name would be cut, and two clones could have the same.
if ($told.hostname -notmatch '^[A-Za-z0-9]([A-Za-z0-9-]{0,13}[A-Za-z0-9])?$') { Stop-With 'hostname: must be 1 to 15 letters, digits and -' }
if ($told.machine_id -notmatch '^[0-9a-f]{32}$') { Stop-With 'machine_id: must be 32 lower-case hexadecimal digits' }
if ($told.time -isnot [ValueType] -or $told.time -lt 1e9) { Stop-With 'time: must be Unix seconds, from 2001 on' }

Try-To 'clock' {
  Set-Date ([DateTimeOffset]::FromUnixTimeMilliseconds([long]($told.time * 1000)).LocalDateTime) | Out-Null
}
Try-To 'computer name' {
  if ($env:COMPUTERNAME -ne $told.hostname) { Rename-Computer -NewName $told.hostname -Force -WarningAction SilentlyContinue }
}
Try-To 'machine GUID' {
  $guid = [Guid]::ParseExact($told.machine_id, 'N').ToString()
  Set-ItemProperty 'HKLM:\SOFTWARE\Microsoft\Cryptography' MachineGuid $guid
}
Try-To 'SSH host keys' {
  if (Get-Service sshd -ErrorAction SilentlyContinue) {
    Get-ChildItem 'C:\ProgramData\ssh\ssh_host_*' -ErrorAction SilentlyContinue | Remove-Item -Force
    & 'C:\Windows\System32\OpenSSH\ssh-keygen.exe' -A | Out-Null
    if ((Get-Service sshd).Status -eq 'Running') { Restart-Service sshd }
  }
}
# Windows reseeds its random numbers by itself from the machine's generation ID; it takes no seed from outside.
Try-To 'record' {
  $record = [ordered]@{ hostname = $told.hostname; machine_id = $told.machine_id; user = $told.user; time = $told.time }
  New-Item -ItemType Directory -Force 'C:\ProgramData\Usher' | Out-Null
  [IO.File]::WriteAllText('C:\ProgramData\Usher\identity', ($record | ConvertTo-Json -Compress))
}
Try-To 'network' {
  Start-Process ipconfig.exe -ArgumentList '/renew' -WindowStyle Hidden
}
foreach ($failure in $failures) { [Console]::Error.WriteLine($failure) }
exit [int]($failures.Count -gt 0)
